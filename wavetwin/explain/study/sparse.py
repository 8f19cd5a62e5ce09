"""Count the trained weights of sparse first layers, and what is lost.

Made from module graphs alone, as the compiler counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.explain.no_stem import require_stem
from wavetwin.explain.study.rows import Table, Value
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import ColourMixing, ColourMixingAfter, Crop, Packets, ParameterCounts

__all__ = ["SparseLayer", "layer_of", "sparse_table"]


@dataclass(frozen=True, slots=True)
class SparseLayer:
    """A first layer, up to its pooling."""

    name: str
    architecture: str
    """Of the network around it."""
    parameters: ParameterCounts
    """Of the layer alone."""
    macs: int
    """Of the layer, per image, as written."""
    output_shape: tuple[int, ...]
    """Channels, height, width; complex channels count as two where they are stored as such."""
    crops: tuple[str, ...]
    """What is cut off where two branches are joined: `packets 113 x 113 to 112 x 112`."""
    levels: int | None
    """J of its packets; None for a plain convolution."""
    colour: str
    """Where colours are mixed: `before`, `after`, or nothing."""
    model: ParameterCounts
    """Of the whole network."""


def layer_of(graph: ModuleGraph, architecture: str) -> SparseLayer:
    """Return what a module graph, as written, says of its first layer.

    Raises:
        RunError: it has none.
    """
    require_stem(graph)
    stem = graph.section("stem")
    packets = graph.find(Packets, "stem")
    before = graph.find(ColourMixing, "stem") and "before"
    after = graph.find(ColourMixingAfter, "stem") and "after"
    crops = []
    for node in stem:
        if isinstance(node.operation, Crop):
            whole = graph.node(node.inputs[0]).output_shape
            if whole != node.output_shape:
                crops.append(f"{node.inputs[0]} {_size(whole)} to {_size(node.output_shape)}")
    return SparseLayer(
        name=graph.name,
        architecture=architecture,
        parameters=sum((node.parameters for node in stem), ParameterCounts()),
        macs=sum(node.macs for node in stem),
        output_shape=stem[-1].output_shape,
        crops=tuple(crops),
        levels=None if packets is None else packets.operation.levels,
        colour=before or after or "",
        model=graph.parameters,
    )


def sparse_table(layers: Sequence[SparseLayer]) -> Table:
    """Return a row a layer.

    Reductions are of trained weights, against the first layer of the architecture that has no packets;
    where none is given, against the first of all.
    """
    standard: dict[str, SparseLayer] = {}
    for layer in layers:
        if layer.levels is None:
            standard.setdefault(layer.architecture, layer)
    references: list[SparseLayer] = []
    rows: list[tuple[Value, ...]] = []
    for layer in layers:
        reference = standard.get(layer.architecture, layers[0])
        references.append(reference)
        trained = layer.parameters.trainable
        rows.append(
            (
                layer.name,
                "" if layer.levels is None else layer.levels,
                layer.colour,
                trained,
                layer.parameters.frozen,
                reference.parameters.trainable / trained if trained else math.nan,
                layer.macs,
                f"{layer.output_shape[0]} x {_size(layer.output_shape)}",
                _beside(layer, reference),
                layer.model.trainable,
            )
        )
    columns = (
        "name",
        "levels",
        "colours",
        "trainable",
        "frozen",
        "reduction",
        "MACs",
        "output",
        "crop",
        "model's trainable",
    )
    names = join_texts(list(dict.fromkeys(each.name for each in references)), "and")
    caption = f"First layers; reductions are of trainable weights against {names}"
    return Table("sparse", caption, columns, tuple(rows))


def _beside(layer: SparseLayer, reference: SparseLayer) -> str:
    """Return what is cut off inside the layer, and how its output differs from the reference's."""
    notes = list(layer.crops)
    if layer.output_shape[1:] != reference.output_shape[1:]:
        notes.append(f"not cropped to {reference.name}'s {_size(reference.output_shape)}")
    return "; ".join(notes)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[1:]))
