"""Set the first layer's weights as training begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import Network, build_module, initialise
from wavetwin.runtime.training.starting.free_channels import load_free_channels

__all__ = ["initial_stem"]


def initial_stem(graph: ModuleGraph, plan: TrainingPlan, project: Path) -> Network:
    """Return a network whose stem is as training begins, and that has nothing else.

    Every parameter has a random stream of its own: the trunk, most of the weights, need not be drawn.

    Args:
        graph: as written, not optimised.
        plan: names the seed, and weights that the free channels start from.
        project: what the plan's paths are relative to.

    Raises:
        RunError: the file that the free channels start from cannot be read.
    """
    nodes = tuple(node for node in graph if node.section in ("input", "stem"))
    stem = replace(graph, nodes=nodes)
    model = build_module(stem)
    initialise(model, stem, plan.seed)
    if plan.initial_weights is not None:
        load_free_channels(model, plan.initial_weights, project)
    return model
