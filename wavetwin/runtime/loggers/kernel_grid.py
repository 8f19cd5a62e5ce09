"""Draw a first layer's kernels for loggers: small, one picture an epoch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from wavetwin.runtime.loggers.logger import Pixels
from wavetwin.runtime.network.resulting_kernel import ResultingKernel

__all__ = ["kernel_grid"]

_PIXELS = 48
"""Least side of a kernel in the picture."""


def kernel_grid(kernel: ResultingKernel) -> Pixels:
    """Return the channels' kernels in a grid, row by row, `(height, width, 3)`.

    Each is scaled to its largest weight, 0 in the middle of the range. A complex kernel is two tiles
    beside each other, its real and its imaginary part. One colour, or more than three, is grey.
    """
    top, left, side = kernel.energy_window()
    weight = kernel.weight.detach().cpu()[..., top : top + side, left : left + side]
    tiles: list[Tensor] = []
    for channel, is_complex in enumerate(kernel.is_complex):
        own = weight[channel]
        parts = (own.real, own.imag) if is_complex else (own.real,)
        largest = max(float(part.abs().max()) for part in parts) or 1.0
        tiles += [0.5 + 0.5 * part / largest for part in parts]
    scale = max(1, math.ceil(_PIXELS / side))
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    step = scale * side + 1
    picture = torch.ones(3, rows * step + 1, columns * step + 1)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        colours = tile if tile.shape[0] == 3 else tile.mean(0, keepdim=True).expand(3, -1, -1)
        large = colours.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        y, x = row * step + 1, column * step + 1
        picture[:, y : y + large.shape[1], x : x + large.shape[2]] = large
    return (picture.permute(1, 2, 0) * 255).round().clamp(0, 255).numpy().astype(np.uint8)
