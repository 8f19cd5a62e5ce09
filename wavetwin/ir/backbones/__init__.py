"""List the backbones that the language knows by name: a module a family, found by being here.

A module of this package has `ARCHITECTURES`, a tuple of rows (docs/adding.md).
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from wavetwin.ir.architecture import Architecture, TrunkOptions
from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import ShapeError
from wavetwin.ir.operations import Blur, Input, Linear, WaveletPool

__all__ = ["ARCHITECTURES", "find_architecture"]


def _find() -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for module in sorted(each.name for each in iter_modules(__path__)):
        rows = import_module(f"{__name__}.{module}").ARCHITECTURES
        for row in cast("tuple[Architecture, ...]", rows):
            assert row.name not in found, row.name
            found[row.name] = row
    return found


ARCHITECTURES = _find()
"""By their names. Sources: torchvision's models; arXiv:2212.00394 for what the twins
change."""


def find_architecture(graph: ModuleGraph) -> Architecture | None:
    """Return the architecture whose trunk a graph, as written, has; None where the spec lists it.

    The layers' names say it: one in whose place the spec puts another keeps its name.
    """
    trunk = {node.id for node in graph.section("trunk")}
    halving = graph.find(Blur, "trunk") or graph.find(WaveletPool, "trunk")
    linear = graph.all_of(Linear, "trunk")
    if not linear:
        return None
    options = TrunkOptions(linear[-1].operation.features, halving and halving.operation)
    if not graph.has_stem:
        return None
    pooled = graph.section_outputs["pool"][-1]
    for architecture in ARCHITECTURES.values():
        if architecture.lists_layers:
            continue
        builder = GraphBuilder(graph.name, lambda field: None)
        source = builder.add("input", Input(shape=pooled.output_shape))
        try:
            architecture.add_trunk(builder, options, source)
        except ShapeError:
            continue
        if trunk == {node.id for node in builder.graph().section("trunk")}:
            return architecture
    return None
