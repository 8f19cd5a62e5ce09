"""Take the real part right after the packets where only the real part is used.

Selection and mixing have real weights, so that the real part commutes with them: mixing then costs
half, and the runtime never computes imaginary packets.
"""

from __future__ import annotations

from dataclasses import replace

from wavetwin.compiler.catalogue import complete
from wavetwin.compiler.graph import ModuleGraph, Node

_COMMUTES = ("keep_packets", "packet_mixing", "colour_mixing_after", "slice_channels")


def take_real_part_early(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every real part moved up through the linear maps before it."""
    if not any(node.op == "real_part" for node in graph):
        return graph
    nodes = {node.id: node for node in graph}
    users: dict[str, int] = {}
    for node in graph:
        for source in node.inputs:
            users[source] = users.get(source, 0) + 1
    order = [node.id for node in graph]
    for real in [node for node in graph if node.op == "real_part"]:
        chain: list[str] = []
        source = nodes[real.inputs[0]]
        while source.op in _COMMUTES and users[source.id] == 1:
            chain.insert(0, source.id)
            source = nodes[source.inputs[0]]
        if not chain:
            continue
        order.remove(real.id)
        order.insert(order.index(chain[0]), real.id)
        nodes[real.id] = replace(real, inputs=(source.id,))
        nodes[chain[0]] = replace(nodes[chain[0]], inputs=(real.id,))
        for user in order:
            if user != chain[0] and real.id in nodes[user].inputs:
                nodes[user] = replace(
                    nodes[user],
                    inputs=tuple(chain[-1] if i == real.id else i for i in nodes[user].inputs),
                )
    done: dict[str, Node] = {}
    for node_id in order:
        node = nodes[node_id]
        done[node_id] = complete(node, [done[source] for source in node.inputs])
    return ModuleGraph(graph.name, tuple(done.values()), graph.passes)
