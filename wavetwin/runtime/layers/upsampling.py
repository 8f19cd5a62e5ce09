"""Up-sample maps by two, bilinearly: on a CPU as matrix products, which torch's own is slow beside."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import is_eager, is_plain_tensor, outside_modes
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.dense_moduli import multiply_maps

__all__ = ["double"]

LARGEST_FLAT = 64
"""Pixels up to which one matrix for the whole map costs less than one a direction."""

LARGEST_DENSE = 128
"""Rows or columns of the result up to which matrix products take less time than torch's operation."""


def double(
    x: Float[Tensor, "batch channels half_height half_width"], height: int, width: int
) -> Float[Tensor, "batch channels height width"]:
    """Return the maps at twice the size, or a row and a column less, of the type of `x`.

    As `torch.nn.functional.interpolate` by a factor of 2 without aligned corners, then cropped.
    """
    is_dense = x.device.type == "cpu" and is_eager() and is_plain_tensor(x)
    if is_dense and max(height, width) <= LARGEST_DENSE and x.numel():
        return _multiply(x, height, width)
    y = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).to(x.dtype)
    return _crop(_crop(y, 2, height), 3, width)


def _multiply(x: Tensor, height: int, width: int) -> Tensor:
    if x.shape[2] * x.shape[3] > LARGEST_FLAT:
        return multiply_maps(x, _matrix(height, x.dtype), _matrix(width, x.dtype))
    y = x.flatten(2) @ _map_matrix(height, width, x.dtype)
    return y.view(*x.shape[:2], height, width)


@functools.lru_cache(maxsize=64)
def _matrix(size: int, dtype: torch.dtype) -> Tensor:
    """Return (size, ceil(size / 2)): a quarter of the farther and three of the nearer neighbour."""
    with outside_modes():
        half = (size + 1) // 2
        at = (torch.arange(size, dtype=torch.float64, device="cpu") - 0.5) / 2
        distance = (at.clamp(0, half - 1).unsqueeze(1) - torch.arange(half, device="cpu")).abs()
        return (1 - distance).clamp(min=0).to(dtype)


@functools.lru_cache(maxsize=64)
def _map_matrix(height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Return (half_height * half_width, height * width)."""
    with outside_modes():
        return torch.kron(_matrix(height, dtype), _matrix(width, dtype)).t().contiguous()


def _crop(y: Tensor, dim: int, length: int) -> Tensor:
    if torch.compiler.is_compiling():
        # Without a question of whether anything is cropped, so that a trace holds for both answers.
        return y.index_select(dim, torch.arange(length, device=y.device))
    return y.narrow(dim, 0, length)
