"""Draw the first layer alone, as every training begins it."""

from __future__ import annotations

from dataclasses import replace

from wavetwin.ir.graph import ModuleGraph
from wavetwin.runtime.network.build import Network, build_module, initialise

__all__ = ["fresh_stem"]


def fresh_stem(graph: ModuleGraph, seed: int) -> Network:
    """Return a network whose stem has its random weights, and that has nothing else.

    Every parameter has a random stream of its own: the trunk, most of the weights, need not be drawn.

    Args:
        graph: as written, not optimised.
        seed: the plan's.
    """
    nodes = tuple(node for node in graph if node.section in ("input", "stem"))
    stem = replace(graph, nodes=nodes)
    model = build_module(stem)
    initialise(model, stem, seed)
    return model
