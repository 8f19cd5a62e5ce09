"""Cancel interleaving: complex channels made real for one map, and complex again after it.

What lies between is at most a crop, which does not mind what the channels are.
"""

from __future__ import annotations

from dataclasses import replace

from wavetwin.compiler.passes.rewiring import rebuild, redirect
from wavetwin.ir.graph import ModuleGraph, users_of
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Crop, Deinterleave, Interleave


def cancel_interleaving(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with complex channels passed on as they are, where they end up so."""
    nodes = {node.id: node for node in graph}
    changed = False
    for back in [node for node in graph if isinstance(node.operation, Deinterleave)]:
        source = nodes[back.inputs[0]]
        users = users_of(nodes.values())
        if isinstance(source.operation, Crop) and users[source.id] == (back,):
            interleave = nodes[source.inputs[0]]
            if isinstance(interleave.operation, Interleave):
                nodes[source.id] = _with_first_input(source, interleave.inputs[0])
                redirect(nodes, {back.id: source.id})
                _take_size_from(nodes, interleave.id, interleave.inputs[0])
                changed = True
        elif isinstance(source.operation, Interleave):
            redirect(nodes, {back.id: source.inputs[0]})
            changed = True
    return rebuild(graph, nodes) if changed else graph


def _with_first_input(node: Node, source: str) -> Node:
    return replace(node, inputs=(source, *node.inputs[1:]))


def _take_size_from(nodes: dict[str, Node], old: str, new: str) -> None:
    """Let crops that read a node for its size alone read another one of this size."""
    for node in tuple(nodes.values()):
        if isinstance(node.operation, Crop) and node.inputs[1] == old:
            nodes[node.id] = replace(node, inputs=(node.inputs[0], new))
