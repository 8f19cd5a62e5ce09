"""Count multiplies as the learnable ScatterNet's sources did, and say where that differs and why.

The sources are the thesis (tables 1.4, 1.5 and 1.7) and the script that its totals are from,
`flop_calcs.py`. A rule is a way in which they count one node differently; everything else they count as
`wavetwin show` does. Neither counts norms, moduli, pooling or the classifier's few multiplies apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from wavetwin.explain.text_table import align
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.mixings import MIXINGS
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Conv2d, Invariant, Scattering

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled

__all__ = [
    "SOURCE_RULES",
    "SourceRule",
    "source_counts",
    "source_document",
    "source_macs",
    "source_table",
]

_HEADS = ("layer", "operation", "MACs", "source's MACs", "")

_SCRIPT_INPUTS = 96
"""Inputs of the first convolution in the script: the networks' base width in place of the colours."""
_ORDER_TWO_MAPS = 147
"""3 * 7^2: two scattering layers over three colours."""
_TYPED_MAPS = 149
"""What the script has for it."""


@dataclass(frozen=True, slots=True)
class SourceRule:
    """A way in which the sources count a node."""

    reason: str
    macs: Callable[[ModuleGraph, Node], int | None]
    """The sources' number for a node; None where the rule does not apply."""


def _first_convolution(graph: ModuleGraph, node: Node) -> int | None:
    """Return the cost of a convolution of the image that a scattering or invariant layer follows."""
    if not isinstance(node.operation, Conv2d) or node.inputs != (graph.input.id,):
        return None
    follower = _next_with_filters(graph, node)
    if follower is None or not isinstance(follower.operation, Scattering | Invariant):
        return None
    size = node.operation.kernel_size**2 * _SCRIPT_INPUTS * node.operation.channels
    return size * prod(node.output_shape[1:])


def _after_scattering(graph: ModuleGraph, node: Node) -> int | None:
    """Return the cost of a convolution that reads two fixed layers' maps of three colours."""
    if not isinstance(node.operation, Conv2d) or not isinstance(
        _last_with_filters(graph, node), Scattering
    ):
        return None
    inputs = graph.inputs_of(node)[0].output_shape[0]
    return node.macs // inputs * _TYPED_MAPS if inputs == _ORDER_TWO_MAPS else None


def _next_with_filters(graph: ModuleGraph, node: Node) -> Node | None:
    """Return the next node that multiplies, along a path without branches."""
    users = graph.users[node.id]
    while len(users) == 1:
        if users[0].macs:
            return users[0]
        users = graph.users[users[0].id]
    return None


def _last_with_filters(graph: ModuleGraph, node: Node) -> object:
    """Return the operation that a node's input comes from, past what does not multiply."""
    before = graph.inputs_of(node)[0]
    while not before.macs and before.inputs:
        before = graph.inputs_of(before)[0]
    return before.operation


SOURCE_RULES: tuple[SourceRule, ...] = (
    SourceRule(
        f"flop_calcs.py gives the first convolution {_SCRIPT_INPUTS} input channels, not those of the image",
        _first_convolution,
    ),
    SourceRule(
        f"flop_calcs.py has {_TYPED_MAPS} for the {_ORDER_TWO_MAPS} maps of two scattering layers",
        _after_scattering,
    ),
)


def source_counts(graph: ModuleGraph) -> dict[str, tuple[int, str]]:
    """Return the sources' multiplies and the reason, of the nodes that they count differently."""
    found: dict[str, tuple[int, str]] = {}
    for node in graph:
        for rule in SOURCE_RULES:
            macs = rule.macs(graph, node)
            if macs is not None:
                found[node.id] = (macs, rule.reason)
    return found


def source_macs(graph: ModuleGraph) -> int:
    """Return the sources' multiplies of a whole network."""
    found = source_counts(graph)
    return graph.macs + sum(macs - graph.node(name).macs for name, (macs, _) in found.items())


def source_document(graph: ModuleGraph) -> dict[str, Any]:
    """Return what the table says as JSON values: the total, and the nodes that differ with reasons."""
    found = source_counts(graph)
    return {
        "macs": source_macs(graph),
        "nodes": {name: {"macs": macs, "reason": reason} for name, (macs, reason) in found.items()},
        "notes": _invariant_notes(graph),
    }


def source_table(compiled: Compiled) -> str:
    """Return the multiplies of the layers that have any, as here and as in the sources."""
    graph = compiled.graph
    found = source_counts(graph)
    rows: list[tuple[str, ...]] = [_HEADS]
    for node in graph:
        if node.macs:
            macs, _ = found.get(node.id, (node.macs, ""))
            mark = "*" if node.id in found else ""
            rows.append((node.id, node.op, f"{node.macs:,}", f"{macs:,}", mark))
    rows.append(("total", "", f"{graph.macs:,}", f"{source_macs(graph):,}", ""))
    lines = align(rows, right=(2, 3))
    reasons = dict.fromkeys(reason for _, reason in found.values())
    notes = [f"* {reason}" for reason in reasons] + _invariant_notes(graph)
    if not notes:
        notes = ["The sources count every layer of this network as wavetwin does."]
    return "\n".join([*lines, "", *notes]) + "\n"


def _invariant_notes(graph: ModuleGraph) -> list[str]:
    """Return what table 1.4 compares: the mixing alone, against 3x3 convolutions of the same maps."""
    whole = mixing = convolutions = learned = weights = 0
    for node in graph:
        layer = node.operation
        if not isinstance(layer, Invariant):
            continue
        shape = graph.inputs_of(node)[0].output_shape
        whole += node.macs
        row = MIXINGS[layer.mixing]
        # A shift is no multiplication there.
        mixing += layer.mixing_macs(shape) // row.kernel_size**2 * row.published_size**2
        convolutions += 9 * layer.channels * prod(shape)
        learned += 9 * layer.channels * shape[0]
        weights += prod(layer.weights(shape)["weight"])
    if not whole:
        return []
    return [
        f"Table 1.4 compares the invariant layers with 3x3 convolutions by the mixing alone: {mixing:,}",
        f"multiplies of the convolutions' {convolutions:,}, {mixing / convolutions:.3f} "
        f"(pointwise 7/36). With the transform,",
        f"36 an input pixel and channel, they are {whole:,}, {whole / convolutions:.3f}. "
        f"Weights: {weights:,} of {learned:,}, {weights / learned:.3f}.",
    ]
