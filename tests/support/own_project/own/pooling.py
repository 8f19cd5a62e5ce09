"""Generalised-mean pooling: between the mean and the maximum, by a power that is learned."""

import torch
from torch import Tensor, nn

from .windows import mean_of_windows


class PowerPool(nn.Module):
    """(batch, channels, height, width) to maps of half the size."""

    def __init__(self, power: float = 3.0, spread: float = 0.1) -> None:
        super().__init__()
        self.power = nn.Parameter(power + spread * torch.rand(1))

    def forward(self, x: Tensor) -> Tensor:
        means = mean_of_windows(x.clamp(min=1e-6) ** self.power)
        return means ** (1 / self.power)
