"""Fuse a maximum at every position with the blur after it, which keeps a quarter of them."""

from __future__ import annotations

from wavetwin.compiler.passes.rewiring import find_users, rebuild
from wavetwin.ir.catalogue import make_node
from wavetwin.ir.graph import ModuleGraph


def fuse_max_and_blur(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every maximum of stride 1 in one node with its only reader, a blur."""
    nodes = {node.id: node for node in graph}
    users = find_users(graph)
    changed = False
    for blur in [node for node in graph if node.op == "blur_pool"]:
        largest = nodes[blur.inputs[0]]
        if (
            largest.op != "max_pool"
            or largest.attributes["stride"] != 1
            or len(users[largest.id]) != 1
            or largest.section != blur.section
        ):
            continue
        attributes = {key: largest.attributes[key] for key in ("kernel_size", "padding")}
        nodes[blur.id] = make_node(
            blur.id,
            "max_blur_pool",
            [nodes[largest.inputs[0]]],
            {**attributes, **blur.attributes},
            tuple(dict.fromkeys((*largest.origin, *blur.origin))),
        )
        changed = True
    return rebuild(graph, nodes) if changed else graph
