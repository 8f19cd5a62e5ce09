"""Take the real part right after the packets where only the real part is used.

Selection and mixing have real weights, so that the real part commutes with them: mixing then costs
half, and the runtime never computes imaginary packets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node, complete
from wavetwin.ir.operations import RealPart


def take_real_part_early(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every real part moved up through the linear maps before it."""
    nodes = {node.id: node for node in graph}
    for real in graph:
        if not isinstance(real.operation, RealPart):
            continue
        chain = _linear_maps_before(real, nodes, graph.users)
        if chain:
            nodes = _move(real, chain, nodes)
    order = tuple(nodes.values())
    return graph if order == graph.nodes else ModuleGraph(graph.name, order, graph.passes)


def _linear_maps_before(
    real: Node, nodes: Mapping[str, Node], users: Mapping[str, Sequence[Node]]
) -> list[Node]:
    """Return the maps that commute and that nobody else reads, in the order in which they run."""
    chain: list[Node] = []
    node = nodes[real.inputs[0]]
    while node.operation.commutes_with_real_part and len(users[node.id]) == 1:
        chain.insert(0, node)
        node = nodes[node.inputs[0]]
    return chain


def _move(real: Node, chain: list[Node], nodes: dict[str, Node]) -> dict[str, Node]:
    """Return the nodes, in order, with the real part before the chain instead of after it."""
    moved: dict[str, Node] = {}
    previous = complete(replace(real, inputs=chain[0].inputs), [nodes[chain[0].inputs[0]]])
    moved[real.id] = previous
    for node in chain:
        previous = complete(replace(node, inputs=(previous.id,)), [previous])
        moved[node.id] = previous
    result: dict[str, Node] = {}
    for node in nodes.values():
        if node.id == chain[0].id:
            result |= moved
        elif node.id not in moved:
            inputs = tuple(chain[-1].id if name == real.id else name for name in node.inputs)
            result[node.id] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return result
