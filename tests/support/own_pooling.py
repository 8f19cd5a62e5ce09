"""A first pooling of a project's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanPool(nn.Module):
    """Means of 2 x 2, to a power that is trained."""

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.full((1,), power))

    def forward(self, x: Tensor) -> Tensor:
        """Return the means."""
        return functional.avg_pool2d(x.clamp(min=1e-6) ** self.power, 2) ** (1 / self.power)
