"""Pooling as its definition reads: everything computed everywhere, then every second sample kept.

What the tests and benchmarks/pooling.py compare the layers with.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def reflected(x: Tensor, size: int) -> Tensor:
    before, after = (size - 1) // 2, size // 2
    return F.pad(x, (before, after, before, after), mode="reflect")


class PlainMaxBlur(nn.Sequential):
    """torch's maximum with stride 1, then a depthwise convolution with the binomial filter."""

    def __init__(
        self, channels: int, kernel_size: int = 3, padding: int = 1, size: int = 3, stride: int = 2
    ) -> None:
        super().__init__(nn.MaxPool2d(kernel_size, 1, padding), PlainBlur(channels, size, stride))


class PlainBlur(nn.Module):
    """A depthwise convolution with the binomial filter, of the map with reflected margins."""

    kernel: Tensor

    def __init__(self, channels: int, size: int = 3, stride: int = 2) -> None:
        super().__init__()
        row = torch.tensor([math.comb(size - 1, k) for k in range(size)], dtype=torch.float64)
        kernel = torch.outer(row, row) / 4.0 ** (size - 1)
        self.register_buffer("kernel", kernel.expand(channels, 1, -1, -1).clone())
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.to(x.dtype)
        return F.conv2d(reflected(x, self.size), kernel, stride=self.stride, groups=len(kernel))


class EverywhereBlur(nn.Module):
    """Adaptive blur at every pixel, by tap or with all neighbourhoods written out, then subsampled.

    The parameters have the names that `AdaptiveBlur` gives them.
    """

    def __init__(
        self,
        channels: int,
        size: int = 3,
        stride: int = 2,
        groups: int = 8,
        normalise: str = "joint",
        *,
        unfolds: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, groups * size * size, size, bias=False)
        self.norm = nn.BatchNorm2d(groups * size * size)
        self.size, self.stride, self.groups = size, stride, groups
        self.normalise, self.unfolds = normalise, unfolds

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        padded = reflected(x, self.size)
        logits = self.norm(self.conv(padded))
        if self.normalise == "joint":
            kernels = logits.softmax(1).unflatten(1, (self.groups, 1, -1))
        else:
            kernels = logits.unflatten(1, (self.groups, 1, -1)).softmax(3)
        if self.unfolds:
            patches = F.unfold(padded, self.size)
            patches = patches.view(batch, self.groups, channels // self.groups, -1, height, width)
            blurred = (patches * kernels).sum(3)
        else:
            blocks = padded.unflatten(1, (self.groups, channels // self.groups))
            blurred = sum(
                blocks[..., row : row + height, column : column + width]
                * kernels[:, :, :, row * self.size + column]
                for row in range(self.size)
                for column in range(self.size)
            )
            assert isinstance(blurred, Tensor)
        return blurred.flatten(1, 2)[:, :, :: self.stride, :: self.stride]
