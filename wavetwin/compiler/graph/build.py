"""Build: from the resolved spec to the module graph, as the spec says it (docs/graph.md)."""

from __future__ import annotations

from wavetwin.compiler.graph.listed_layers import listed_layers
from wavetwin.compiler.graph.pooling import add_pool
from wavetwin.compiler.graph.stem import add_stem
from wavetwin.compiler.resolve.spec import ResolvedSpec
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.ir.architecture import TrunkOptions
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.builder import GraphBuilder, Origins
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import AdaptiveBlur, BlurPool, Input, Operation

_TRUNK_GROUPS = 8
"""Of an adaptive blur (numerics.md section 3)."""


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
    options = TrunkOptions(
        spec.data.num_classes or 0, _trunk_blur(spec), tuple(listed_layers(spec))
    )
    architecture.add_trunk(builder, options, pooled)
    return builder.graph()


def _trunk_blur(spec: ExperimentSpec) -> Operation | None:
    size = spec.pooling.blur_size
    match spec.backbone.downsampling:
        case "strided":
            return None
        case "blur":
            return BlurPool(size=size, stride=2)
        case "adaptive_blur":
            return AdaptiveBlur(size=size, stride=2, groups=_TRUNK_GROUPS, normalise="joint")
