"""Average the weights of a model over the steps of its training."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential moving average of weights and running statistics, beside the model.

    After each step: average = decay * average + (1 - decay) * value, from the initial values on.
    Integer buffers (counts of batches) and fixed filters are the model's own: no average changes them.

    Args:
        model: that is trained, on its device, before the first step.
        decay: share of the average that a step keeps, between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._source = model
        self._step = get_ema_multi_avg_fn(decay)
        self.model = deepcopy(model).requires_grad_(False)
        """Has the averages; never in training mode."""
        self.model.eval()

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's values after a step."""
        own, new = _state(self.model), _state(self._source)
        floating = [number for number, value in enumerate(own) if value.is_floating_point()]
        self._step([own[n] for n in floating], [new[n] for n in floating], 0)
        for average, value in zip(own, new, strict=True):
            if not average.is_floating_point():
                average.copy_(value)


def _state(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
