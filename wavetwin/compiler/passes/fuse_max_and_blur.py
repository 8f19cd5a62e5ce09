"""Fuse a maximum at every position with the blur after it, which keeps a quarter of them."""

from __future__ import annotations

from wavetwin.compiler.passes.rewiring import rebuild
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import make_node
from wavetwin.ir.operations import AveragePool, BlurPool, MaxBlurPool, MaxPool


def fuse_max_and_blur(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every maximum of stride 1 in one node with its only reader, a blur."""
    nodes = {node.id: node for node in graph}
    changed = False
    for blur in graph:
        if not isinstance(blur.operation, BlurPool):
            continue
        largest = nodes[blur.inputs[0]]
        maximum = largest.operation
        if (
            not isinstance(maximum, MaxPool)
            or isinstance(maximum, AveragePool)
            or maximum.stride != 1
            or len(graph.users[largest.id]) != 1
            or largest.section != blur.section
        ):
            continue
        fused = MaxBlurPool(
            kernel_size=maximum.kernel_size,
            padding=maximum.padding,
            size=blur.operation.size,
            stride=blur.operation.stride,
        )
        nodes[blur.id] = make_node(
            blur.id,
            fused,
            [nodes[largest.inputs[0]]],
            tuple(dict.fromkeys((*largest.origin, *blur.origin))),
        )
        changed = True
    return rebuild(graph, nodes) if changed else graph
