"""Make the optimiser and the learning rate of a plan."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from wavetwin.ir.plan import OptimizerPlan, TrainingPlan

__all__ = ["LearningRate", "build_optimizer"]

PLATEAU_THRESHOLD = 1e-4
"""A loss counts as better where it is lower by this share, as in torch's ReduceLROnPlateau."""


def build_optimizer(plan: OptimizerPlan, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser over all trainable parameters, weight decay on each."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if plan.name == "adamw":
        assert plan.betas is not None
        return torch.optim.AdamW(
            parameters, lr=plan.lr, betas=plan.betas, weight_decay=plan.weight_decay
        )
    assert plan.momentum is not None
    return torch.optim.SGD(
        parameters,
        lr=plan.lr,
        momentum=plan.momentum,
        nesterov=bool(plan.nesterov),
        weight_decay=plan.weight_decay,
    )


class LearningRate:
    """The learning rate of each step: a function of the position, but for `plateau`.

    The rule changes it between epochs; warm-up raises it step by step. `step` and `milestones`
    count epochs from the start of training, `cosine` spans the epochs after the warm-up.
    """

    def __init__(
        self, plan: TrainingPlan, optimizer: torch.optim.Optimizer, steps_per_epoch: int
    ) -> None:
        self._plan = plan
        self._optimizer = optimizer
        self._steps_per_epoch = steps_per_epoch
        self._factor = 1.0
        self._best = math.inf
        self._bad_epochs = 0
        self.value = plan.optimizer.lr

    def set(self, epoch: int, step: int) -> None:
        """Give the optimiser the rate of this step of this epoch, both counted from 0."""
        warmup = self._plan.schedule.warmup_epochs
        self.value = self._plan.optimizer.lr * self._rule(epoch)
        if epoch < warmup:
            done = epoch * self._steps_per_epoch + step + 1
            self.value *= done / (warmup * self._steps_per_epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = self.value

    def follow(self, loss: float) -> None:
        """Tell `plateau` the epoch's loss: of validation, or of training where there is none."""
        schedule = self._plan.schedule
        assert schedule.patience is not None
        assert schedule.gamma is not None
        if loss < self._best * (1 - PLATEAU_THRESHOLD):
            self._best, self._bad_epochs = loss, 0
        else:
            self._bad_epochs += 1
        if self._bad_epochs > schedule.patience:
            self._factor *= schedule.gamma
            self._bad_epochs = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the last rate and what `plateau` remembers."""
        return {
            "value": self.value,
            "factor": self._factor,
            "best": self._best,
            "bad_epochs": self._bad_epochs,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.value, self._factor, self._best = state["value"], state["factor"], state["best"]
        self._bad_epochs = state["bad_epochs"]

    def _rule(self, epoch: int) -> float:
        schedule, epochs = self._plan.schedule, self._plan.epochs
        match schedule.name:
            case "step":
                assert schedule.step_epochs is not None
                assert schedule.gamma is not None
                return schedule.gamma ** (epoch // schedule.step_epochs)
            case "milestones":
                assert schedule.milestones is not None
                assert schedule.gamma is not None
                return schedule.gamma ** sum(epoch >= mark for mark in schedule.milestones)
            case "cosine":
                after = max(0, epoch - schedule.warmup_epochs)
                span = max(1, epochs - schedule.warmup_epochs)
                return 0.5 * (1 + math.cos(math.pi * after / span))
            case "plateau":
                return self._factor
            case _:
                return 1.0
