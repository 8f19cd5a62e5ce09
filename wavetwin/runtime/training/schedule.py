"""Make the optimiser and the learning rate of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pkgutil import resolve_name
from typing import Any

import torch
from torch import nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.optimizers import Optimizer
from wavetwin.ir.parameter_groups import ParameterGroup, group_numbers
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import Losses, Moment

__all__ = ["LearningRate", "build_optimizer"]


def build_optimizer(
    plan: Optimizer,
    model: nn.Module,
    graph: ModuleGraph | None = None,
    groups: Sequence[ParameterGroup] = (),
) -> torch.optim.Optimizer:
    """Return the optimiser over all trainable parameters, its weight decay on each that has no other.

    Args:
        plan: its kind and numbers.
        model: whose parameters are trained.
        graph: as written, where there are groups.
        groups: of parameters with a rate or a weight decay of their own, behind those without.
    """
    numbers = {} if graph is None else group_numbers(graph, groups)
    found: list[dict[str, Any]] = [{"params": []}]
    for group in groups:
        decay = plan.weight_decay if group.weight_decay is None else group.weight_decay
        options = {"lr_factor": group.lr_factor, "weight_decay": decay}
        found.append({"params": [], "lr": plan.lr * group.lr_factor, **options})
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[numbers.get(name, -1) + 1]["params"].append(parameter)
    parameters = [each for each in found if each["params"]]
    return resolve_name(plan.torch_class)(parameters, **plan.values())


class LearningRate:
    """The learning rate of each step: a function of the position, and of what the schedule remembers.

    The schedule changes it between epochs or with every step; warm-up raises it step by step.
    """

    def __init__(
        self, plan: TrainingPlan, optimizer: torch.optim.Optimizer, steps_per_epoch: int
    ) -> None:
        self._plan = plan
        self._optimizer = optimizer
        self._steps_per_epoch = steps_per_epoch
        self._losses = Losses()
        self.value = plan.optimizer.lr

    def set(self, epoch: int, step: int) -> None:
        """Give the optimiser the rate of this step of this epoch, both counted from 0."""
        schedule = self._plan.schedule
        warmup = schedule.warmup_epochs
        moment = Moment(epoch, step, self._steps_per_epoch, self._plan.epochs)
        factor = schedule.rate(moment) * self._losses.factor
        self.value = self._plan.optimizer.lr * factor
        if epoch < warmup:
            done = epoch * self._steps_per_epoch + step + 1
            self.value *= done / (warmup * self._steps_per_epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = self.value * group.get("lr_factor", 1.0)

    def follow(self, loss: float) -> None:
        """Tell the schedule the epoch's loss: of validation, or of training where there is none."""
        self._losses = self._plan.schedule.after_epoch(self._losses, loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the last rate and what the schedule remembers."""
        return {"value": self.value} | asdict(self._losses)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.value = state["value"]
        self._losses = Losses(state["factor"], state["best"], state["bad_epochs"])
