"""Read the first layer of a model as one bank of kernels, from weights or as training begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wavetwin.explain.no_stem import require_stem
from wavetwin.explain.study.kernel_measures import luminance
from wavetwin.importing.weights import convert_state_dict
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import GraphError
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import read_foreign
from wavetwin.runtime.training.starting.initial_stem import initial_stem

__all__ = ["FirstLayer", "initial_layer", "trained_layer"]


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """What the study compares."""

    name: str
    """Of the experiment, and what its weights are."""
    kernel: ResultingKernel
    weights_sha256: str | None
    """None for initial weights."""

    @property
    def stride(self) -> int:
        """m, of the layer."""
        return self.kernel.stride

    @property
    def luminance(self) -> Tensor:
        """(channels, height, width), float64 or complex128; complex where any channel is."""
        kernels = luminance(self.kernel.weight.detach())
        return kernels.to(torch.complex128 if kernels.is_complex() else torch.float64)


def initial_layer(graph: ModuleGraph, plan: TrainingPlan, project: Path) -> FirstLayer:
    """Return the layer as training begins.

    Args:
        graph: as written, not optimised.
        plan: names the seed, and weights that the free channels start from.
        project: what the plan's paths are relative to.

    Raises:
        RunError: the layer is no convolution, or the file that it starts from cannot be read.
    """
    require_stem(graph)
    state = dict(initial_stem(graph, plan, project).named_parameters())
    return FirstLayer(f"{plan.name}, initial, seed {plan.seed}", _compose(state, graph), None)


def trained_layer(
    graph: ModuleGraph, plan: TrainingPlan, weights: Path, key: str | None = None
) -> FirstLayer:
    """Return the layer with the weights of a file, of this project's names or of others'.

    Args:
        graph: as written, not optimised.
        plan: names the experiment.
        weights: the file.
        key: of the state dict in the file, where there are several.

    Raises:
        RunError: the file cannot be read or is of another model, or the layer is no convolution.
    """
    require_stem(graph)
    foreign = read_foreign(weights, key)
    state = convert_state_dict(graph, foreign.tensors, num_classes="any").state
    return FirstLayer(f"{plan.name}, {weights.name}", _compose(state, graph), foreign.sha256)


def _compose(state: Mapping[str, Tensor], graph: ModuleGraph) -> ResultingKernel:
    try:
        with torch.no_grad():
            return resulting_kernel(state, graph)
    except GraphError as error:
        raise RunError("nothing-to-measure", str(error), subject=graph.name) from error
