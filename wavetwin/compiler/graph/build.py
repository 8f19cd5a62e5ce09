"""Build the module graph of a resolved spec, as the spec says it (docs/graph.md)."""

from __future__ import annotations

from wavetwin.compiler.graph.listed_layers import listed_layers
from wavetwin.compiler.graph.pooling import add_pool, wavelet_pool
from wavetwin.compiler.graph.stem import add_stem
from wavetwin.compiler.resolve.spec import ResolvedSpec
from wavetwin.ir.architecture import TrunkOptions
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.builder import GraphBuilder, Origins
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Input


def build_graph(resolved: ResolvedSpec, origins: Origins = lambda field: None) -> ModuleGraph:
    """Return the module graph that the spec describes, before any pass.

    Raises:
        ShapeError: an operation has no output for its input, for example because the image is too
            small for all the subsampling.
    """
    spec = resolved.spec
    architecture = ARCHITECTURES[spec.backbone.arch]
    builder = GraphBuilder(resolved.name, origins)
    size = spec.data.image_size or 0
    channels = DATASETS[spec.data.dataset].channels
    image = builder.add(
        "input",
        Input(shape=(channels, size, size)),
        fields=("data.dataset", "data.image_size"),
    )
    stem = add_stem(builder, spec, architecture, image)
    pooled = add_pool(builder, spec, architecture, stem)
    halving = DOWNSAMPLINGS[spec.backbone.downsampling].reduction(
        spec.pooling.blur_size, wavelet_pool(spec)
    )
    options = TrunkOptions(spec.data.num_classes or 0, halving, tuple(listed_layers(spec)))
    architecture.add_trunk(builder, options, pooled)
    return builder.graph()
