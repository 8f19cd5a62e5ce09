"""Drop nodes that return their input: a step of one, dropout of nothing, a slice of everything."""

from __future__ import annotations

from wavetwin.compiler.catalogue import complete
from wavetwin.compiler.graph import ModuleGraph, Node


def drop_identities(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph without nodes that change nothing; a section keeps its last node."""
    last = {node.section: node.id for node in graph}
    replaced: dict[str, str] = {}
    kept: dict[str, Node] = {}
    for node in graph:
        inputs = tuple(replaced.get(source, source) for source in node.inputs)
        if _is_identity(node, kept, inputs) and node.id != last[node.section]:
            replaced[node.id] = inputs[0]
            continue
        rewired = Node(
            node.id, node.op, inputs, node.attributes, node.output_shape, origin=node.origin
        )
        kept[node.id] = complete(rewired, [kept[source] for source in inputs])
    return ModuleGraph(graph.name, tuple(kept.values()), graph.passes) if replaced else graph


def _is_identity(node: Node, kept: dict[str, Node], inputs: tuple[str, ...]) -> bool:
    attributes = node.attributes
    if node.op == "subsample":
        return attributes["step"] == 1
    if node.op == "dropout":
        return attributes["probability"] == 0.0
    if node.op == "slice_channels":
        return (attributes["start"], attributes["stop"]) == (0, kept[inputs[0]].output_shape[0])
    return False
