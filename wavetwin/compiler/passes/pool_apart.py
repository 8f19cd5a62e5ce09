"""Pool free and wavelet channels apart, where the pooling takes apart what the stem joined.

The joined map is as large as the stem's output and is written and read for nothing. Without it the
stem gives a pair, each part of its own size: what the next passes need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from wavetwin.compiler.passes.rewiring import rebuild, redirect
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Concat, Crop, SliceChannels


def pool_apart(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph without concatenations of which only whole inputs are read."""
    nodes = {node.id: node for node in graph}
    replaced: dict[str, str] = {}
    for concat in graph:
        if isinstance(concat.operation, Concat):
            replaced |= _taken_apart(concat, graph.users[concat.id], nodes)
    if not replaced:
        return graph
    redirect(nodes, replaced)
    _crop_in_turn([nodes[source] for source in replaced.values()], nodes)
    return rebuild(graph, nodes)


def _taken_apart(
    concat: Node, readers: Sequence[Node], nodes: Mapping[str, Node]
) -> dict[str, str]:
    """Return the input that each reader selects, by its id; nothing where one selects otherwise."""
    ranges: dict[tuple[int, int], str] = {}
    first = 0
    for source in concat.inputs:
        last = first + nodes[source].output_shape[0]
        ranges[first, last] = source
        first = last
    selected: dict[str, str] = {}
    for reader in readers:
        part = reader.operation
        if not isinstance(part, SliceChannels) or (part.start, part.stop) not in ranges:
            return {}
        selected[reader.id] = ranges[part.start, part.stop]
    return selected


def _crop_in_turn(values: Sequence[Node], nodes: dict[str, Node]) -> None:
    """Let the second of two nodes that are cropped to each other read the first one's window.

    Its size is the same; what was cropped need not be kept for the sake of its size.
    """
    for first, second in pairwise(values):
        both_crop = isinstance(first.operation, Crop) and isinstance(second.operation, Crop)
        if both_crop and second.inputs == first.inputs[::-1]:
            nodes[second.id] = replace(second, inputs=(second.inputs[0], first.id))
