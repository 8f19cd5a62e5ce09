"""Show the layers that differ as a table's rows, folded where a reader wants it short.

Costs of the rows add up to the difference of the networks, folded or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.costs import Cost
from wavetwin.explain.diff.layers import LayerChange, ModelChanges
from wavetwin.explain.diff.wording import shape_text, value_text
from wavetwin.ir.node import Node

SIGNS = {"added": "+", "removed": "-", "changed": "~", "resized": "~", "renamed": "~"}
MAX_ROWS = 24
"""More rows than this are folded by block."""
MAX_WIDTH = 60
"""Characters that a short row has for what changed."""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer that differs, or several that share a row."""

    kind: str
    """`added`, `removed`, or `changed`, which all others are here."""
    name: str
    what: str
    """The operation, or what became of it."""
    shape: str
    cost: Cost
    """What the second network takes here beyond the first."""
    layers: int = 1
    """How many layers it stands for."""


def layer_rows(model: ModelChanges, *, full: bool = False) -> list[LayerRow]:
    """Return the rows of the layers that differ; `full`: one each, with all attributes."""
    if full:
        return [_row(layer, full=True) for layer in model.differing]
    moves = [layer for layer in model.differing if _moves_values(layer)]
    resized = [layer for layer in model.differing if layer.kind == "resized" and layer not in moves]
    renamed = [layer for layer in model.differing if layer.kind == "renamed"]
    grouped = [*moves, *resized, *renamed]
    plain = [layer for layer in model.differing if layer not in grouped]
    rows = _fold_blocks(plain)
    for kind in ("added", "removed", "changed"):
        members = [layer for layer in moves if _kind(layer) == kind]
        rows += _fold(members, "that cut, join or reorder channels")
    rows += _fold(resized, "on maps of another size")
    rows += _fold(renamed, "under another name")
    return rows


def _fold_blocks(layers: Sequence[LayerChange]) -> list[LayerRow]:
    """Return a row a layer, or a row a block where there are too many: the smallest that do."""
    if len(layers) <= MAX_ROWS:
        return [_row(layer) for layer in layers]
    for depth in (3, 2, 1):
        groups: dict[tuple[str, str], list[LayerChange]] = {}
        for layer in layers:
            block = ".".join(layer.node.id.split(".")[:depth])
            groups.setdefault((_kind(layer), block), []).append(layer)
        if len(groups) <= MAX_ROWS or depth == 1:
            break
    return [
        _row(group[0])
        if len(group) == 1
        else LayerRow(kind, block, plural(len(group), "layer"), "", _sum(group), len(group))
        for (kind, block), group in groups.items()
    ]


def _fold(layers: Sequence[LayerChange], label: str) -> list[LayerRow]:
    if len(layers) < 2:
        return [_row(layer) for layer in layers]
    (kind,) = {_kind(layer) for layer in layers}
    label = f"{plural(len(layers), 'layer')} {label}"
    return [LayerRow(kind, label, "", "", _sum(layers), len(layers))]


def _sum(layers: Iterable[LayerChange]) -> Cost:
    return sum((layer.cost for layer in layers), Cost())


def _kind(layer: LayerChange) -> str:
    return layer.kind if layer.kind in ("added", "removed") else "changed"


def _moves_values(layer: LayerChange) -> bool:
    nodes = [node for node in (layer.before, layer.after) if node is not None]
    return all(node.operation.moves_values for node in nodes)


def _row(layer: LayerChange, *, full: bool = False) -> LayerRow:
    before, after = layer.before, layer.after
    if before is None or after is None:
        what = _operation(layer.node) if full else layer.node.op
        return LayerRow(_kind(layer), layer.node.id, what, _shape(layer.node), layer.cost)
    return LayerRow(
        "changed",
        _both(before, after, lambda node: node.id),
        _what_changed(before, after, layer.attributes, full=full),
        _both(before, after, _shape),
        layer.cost,
    )


def _both(before: Node, after: Node, text: Callable[[Node], str]) -> str:
    first, second = text(before), text(after)
    return first if first == second else f"{first} -> {second}"


def _shape(node: Node) -> str:
    return shape_text(node.output_shape, node.is_complex)


def _what_changed(
    before: Node, after: Node, attributes: Sequence[tuple[str, Any, Any]], *, full: bool
) -> str:
    label = _both(before, after, lambda node: node.op)
    if type(before.operation) is not type(after.operation):
        return label
    for name, ours, theirs in attributes:
        if full or not _are_long(ours, theirs):
            label += f", {name} {value_text(_listed(ours))} -> {value_text(_listed(theirs))}"
        elif len(ours) == len(theirs):
            label += f", other {name}"
        else:
            label += f", {len(ours)} -> {len(theirs)} {name}"
    return label if full or len(label) <= MAX_WIDTH else f"{label[: MAX_WIDTH - 4]} ..."


def _are_long(first: Any, second: Any) -> bool:
    """Return whether two values are lists that a short row only counts."""
    return all(isinstance(each, tuple) for each in (first, second)) and any(
        len(value_text(_listed(each), full=True)) > MAX_WIDTH // 3 for each in (first, second)
    )


def _operation(node: Node) -> str:
    """Return an operation with its attributes, as many as a line takes."""
    texts = [f"{name} {value_text(_listed(value))}" for name, value in node.attributes.items()]
    return ", ".join([node.op, *texts])


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_listed(item) for item in cast("tuple[Any, ...]", value)]
    return value
