"""Blurring before subsampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.shapes import Float


def reflect_margins(size: int) -> tuple[int, int]:
    """Return the margins before and after a map whose size a filter of `size` taps is to keep."""
    return (size - 1) // 2, size // 2


def pad_by_reflection(
    x: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels padded_height padded_width"]:
    """Pad for a filter of `size` taps; the map must be larger than the margins."""
    before, after = reflect_margins(size)
    return F.pad(x, (before, after, before, after), mode="reflect")


class BlurPool(ConstantBuffers):
    """Binomial filter on each channel, reflected borders, then every `stride`-th row and column.

    `(batch, channels, height, width)` to
    `(batch, channels, ceil(height / stride), ceil(width / stride))`.

    Source: Zhang 2019, arXiv:1904.11486.

    Args:
        size: taps of the filter in each direction, 2 to 7.
        stride: step of the output.

    Raises:
        ValueError: `size` is out of range.
    """

    taps: Tensor

    def __init__(self, size: int = 3, stride: int = 2) -> None:
        super().__init__()
        if not 2 <= size <= 7:
            raise ValueError(f"blur size {size}: 2 to 7 are supported")
        self.size = size
        self.stride = stride
        row = [math.comb(size - 1, k) / 2 ** (size - 1) for k in range(size)]
        self.register_constant("taps", torch.tensor(row, dtype=torch.float64, device="cpu"))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the blurred maps at the kept positions, computed there only."""
        channels = x.shape[1]
        kernel = torch.outer(self.taps, self.taps).expand(channels, 1, -1, -1)
        return F.conv2d(
            pad_by_reflection(x, self.size),
            kernel.to(x.dtype),
            stride=self.stride,
            groups=channels,
        )

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"size={self.size}, stride={self.stride}"
