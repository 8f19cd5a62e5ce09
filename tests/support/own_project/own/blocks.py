"""A residual block whose branch is scaled by a number that is learned, 0 at first."""

import torch
from torch import Tensor, nn


class ScaledBlock(nn.Module):
    """(batch, channels, height, width) to the same."""

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.zeros(1))
        self.register_buffer("order", torch.randperm(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv1(x)).relu()
        y = self.conv2(self.dropout(y))[:, self.order]
        return (x + self.scale * y).relu()
