"""Set the first layer's weights as training begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import Network
from wavetwin.runtime.training.starting.free_channels import load_free_channels
from wavetwin.runtime.training.starting.fresh_stem import fresh_stem
from wavetwin.runtime.training.starting.start import read_start

__all__ = ["initial_stem"]


def initial_stem(graph: ModuleGraph, plan: TrainingPlan, project: Path) -> Network:
    """Return a network whose stem is as training begins, and that has nothing else.

    Args:
        graph: as written, not optimised.
        plan: names the seed, and weights that the network or the free channels start from.
        project: what the plan's paths are relative to.

    Raises:
        RunError: the file that it starts from cannot be read, or does not fit.
    """
    model = fresh_stem(graph, plan.seed)
    if plan.weights is not None:
        start = read_start(graph, plan, project)
        own = model.state_dict().keys()
        tensors = {name: value for name, value in start.tensors.items() if name in own}
        replace(start, tensors=tensors).fill(model)
    if plan.initial_weights is not None:
        load_free_channels(model, plan.initial_weights, project)
    return model
