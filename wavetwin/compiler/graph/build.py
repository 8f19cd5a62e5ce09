"""Build the module graph of a resolved spec, as the spec says it (docs/graph.md)."""

from __future__ import annotations

from wavetwin.compiler.graph.listed_layers import trunk_options
from wavetwin.compiler.graph.measured_modules import measure_by
from wavetwin.compiler.graph.pooling import add_pool
from wavetwin.compiler.graph.replaced_layers import find_replacements
from wavetwin.compiler.graph.stem import add_stem
from wavetwin.compiler.resolve.own_code_trials import Trials
from wavetwin.compiler.resolve.spec import ResolvedSpec
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.builder import GraphBuilder, Origins
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Input


def build_graph(
    resolved: ResolvedSpec,
    origins: Origins = lambda field: None,
    trials: Trials | None = None,
) -> ModuleGraph:
    """Return the module graph that the spec describes, before any pass.

    Args:
        resolved: the spec.
        origins: says which lines set its fields.
        trials: of the project's own modules; None where the spec names none.

    Raises:
        OwnCodeError: a module of the project is at fault.
        ShapeError: an operation has no output for its input, for example because the image is too
            small for all the subsampling.
    """
    spec = resolved.spec
    architecture = ARCHITECTURES[spec.backbone.arch]
    measure = None if trials is None else measure_by(trials)
    builder = GraphBuilder(resolved.name, origins, find_replacements(spec, measure))
    image = builder.add(
        "input",
        Input(shape=(spec.data.num_channels, *spec.data.sides)),
        fields=("data.dataset", "data.channels", "data.image_size"),
    )
    source = image
    if spec.backbone.has_stem:
        stem = add_stem(builder, spec, architecture, image)
        source = add_pool(builder, spec, architecture, stem, measure)
    architecture.add_trunk(builder, trunk_options(spec, measure), source)
    return builder.graph()
