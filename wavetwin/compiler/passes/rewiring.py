"""Rewire graphs for the passes: make the graph of nodes whose inputs changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wavetwin.ir.graph import SECTIONS, ModuleGraph
from wavetwin.ir.node import Node, complete


def redirect(nodes: dict[str, Node], replaced: Mapping[str, str]) -> None:
    """Let every reader of a replaced node read the other one instead."""
    for node in tuple(nodes.values()):
        inputs = tuple(replaced.get(source, source) for source in node.inputs)
        if inputs != node.inputs:
            nodes[node.id] = replace(node, inputs=inputs)


def rebuild(graph: ModuleGraph, nodes: Mapping[str, Node]) -> ModuleGraph:
    """Return the graph of these nodes: shapes and costs computed anew, and none that nothing reads.

    The order is that of `nodes`, as far as sections and inputs allow; the output is the graph's.
    """
    before = graph.by_id
    alive = {graph.input.id}
    waiting = [graph.output.id]
    while waiting:
        node_id = waiting.pop()
        alive.add(node_id)
        waiting += [source for source in nodes[node_id].inputs if source not in alive]
    done: dict[str, Node] = {}

    def add(node: Node) -> None:
        if node.id in done:
            return
        for source in node.inputs:
            add(nodes[source])
        done[node.id] = _completed(node, [done[source] for source in node.inputs], before)

    for node in sorted(nodes.values(), key=lambda node: SECTIONS.index(node.section)):
        if node.id in alive:
            add(node)
    return ModuleGraph(graph.name, tuple(done.values()), graph.passes)


def _completed(node: Node, inputs: list[Node], before: Mapping[str, Node]) -> Node:
    """Return a node with its shape and costs; the very one that was there before where nothing changed.

    Nodes below it are then the same, too: making them again would take most of a pass's time.
    """
    old = before.get(node.id)
    if node is old and all(source is before.get(source.id) for source in inputs):
        return node
    new = complete(node, inputs)
    return old if old is not None and new == old else new
