"""Drop nodes that return their input: a step of one, dropout of nothing, a slice of everything."""

from __future__ import annotations

from dataclasses import replace

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import SliceChannels


def drop_identities(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph without nodes that change nothing; a section keeps its last node."""
    shapes = {node.id: node.output_shape for node in graph}
    last = {node.section: node.id for node in graph}.values()
    sources: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph:
        inputs = tuple(sources.get(name, name) for name in node.inputs)
        if node.id not in last and _is_identity(node, shapes):
            sources[node.id] = inputs[0]
        else:
            kept.append(node if inputs == node.inputs else replace(node, inputs=inputs))
    return ModuleGraph(graph.name, tuple(kept), graph.passes) if sources else graph


def _is_identity(node: Node, shapes: dict[str, tuple[int, ...]]) -> bool:
    operation = node.operation
    if isinstance(operation, SliceChannels):
        return (operation.start, operation.stop) == (0, shapes[node.inputs[0]][0])
    return operation.is_identity
