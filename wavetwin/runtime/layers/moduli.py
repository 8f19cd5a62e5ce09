"""Split maps by one dual-tree level into a smoothed map and six moduli: scattering and invariant layers.

On a CPU they are matrix products (`wavetwin.runtime.layers.dense_moduli`). Compilers, other devices and
large maps get one convolution of step 2, of operations that derivatives of any order follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import (
    is_dispatch_watched,
    is_eager,
    is_plain_tensor,
    outside_modes,
)
from wavetwin.runtime.bank.native.level1 import Extend, native_moduli
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.dense_moduli import dense_moduli, dense_smoothing
from wavetwin.runtime.layers.modulus import modulus
from wavetwin.runtime.wavelets import dual_tree
from wavetwin.runtime.wavelets.extension import check_mode, extend

LARGEST_DENSE = 256
"""Rows or columns up to which matrix products were found to take less time than the convolution."""

SMALLEST_BIAS = 1e-15
"""Of what is computed densely: its square is a normal number in float32."""


@dataclass(frozen=True, slots=True)
class Level1:
    """Which level it is.

    Raises:
        ValueError: an argument is out of range.
    """

    filters: str
    """A name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`."""
    mode: str
    """A name of `wavetwin.ir.wavelets.BOUNDARY_MODES`."""
    bias: float
    """How smooth a modulus is: sqrt(|z|^2 + bias^2) - bias; 0 has gradient 0 at 0."""

    def __post_init__(self) -> None:
        """Check the numbers; `level1_filters` checks the name."""
        check_mode(self.mode)
        if not self.bias >= 0:
            raise ValueError(f"bias {self.bias}: 0 or more is needed")


def split_moduli(
    x: Float[Tensor, "batch channels height width"],
    filters: Float[Tensor, "2 taps"],
    level: Level1,
    native: bool = False,
) -> Float[Tensor, "batch 7 channels half_height half_width"]:
    """Return the low band averaged in 2x2 windows, and the moduli at 15, 45, 75, 105, 135, 165 degrees.

    Sizes are rounded up: an odd map repeats its last line.

    Args:
        x: the maps.
        filters: of analysis, from `level1_filters`, in the type of `x`.
        level: their name, the border and the bias.
        native: compute by the native kernel where matrix products apply, and for maps of any size.
    """
    if native and _is_eager(x, level) and not is_dispatch_watched():
        plain = partial(plain_moduli, filters=filters, level=level)
        return native_moduli(x, _taps(level.filters), _border(level.mode), level.bias, plain)
    if _is_dense(x, level):
        return dense_moduli(
            x, level.filters, level.mode, level.bias, partial(plain_moduli, level=level)
        )
    return plain_moduli(x, filters, level)


def smooth_maps(
    x: Float[Tensor, "batch channels height width"],
    filters: Float[Tensor, "2 taps"],
    level: Level1,
) -> Float[Tensor, "batch channels half_height half_width"]:
    """Return the low band averaged in 2x2 windows alone; the arguments are those of `split_moduli`."""
    if _is_dense(x, level):
        return dense_smoothing(x, level.filters, level.mode)
    low = dual_tree.analyse_level1(dual_tree.make_even(x), filters[:1], level.mode)
    return F.avg_pool2d(low[:, :, 0], 2)


@cache
def _taps(filters: str) -> Tensor:
    """Return what samples are correlated with, float64."""
    with outside_modes():
        return dual_tree.level1_filters(filters)[0].flip(1).contiguous()


@cache
def _border(mode: str) -> Extend:
    """Return one function for a border, always the same."""
    return lambda samples, before, after: extend(samples, 0, before, after, mode)


def _is_dense(x: Tensor, level: Level1) -> bool:
    """Return whether matrix products with a hand-written derivative apply, and pay."""
    return _is_eager(x, level) and max(x.shape[2:]) <= LARGEST_DENSE


def _is_eager(x: Tensor, level: Level1) -> bool:
    """Return whether a hand-written derivative applies."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and is_eager()
        and is_plain_tensor(x)
        and x.numel() > 0
        and level.bias >= SMALLEST_BIAS
    )


def plain_moduli(x: Tensor, filters: Tensor, level: Level1) -> Tensor:
    """Return what `split_moduli` does, by a convolution."""
    x = dual_tree.make_even(x)
    margin = filters.shape[1] // 2
    for dim in (2, 3):
        x = extend(x, dim, margin, margin, level.mode)
    batch, channels = x.shape[:2]
    maps = F.conv2d(x.flatten(0, 1).unsqueeze(1), level1_kernels(filters), stride=2)
    maps = maps.reshape(batch, channels, 13, *maps.shape[2:]).transpose(1, 2)
    low, real, imaginary = maps[:, :1], maps[:, 1:7], maps[:, 7:]
    return torch.cat((low, modulus(real, imaginary, level.bias)), 1)


def level1_kernels(filters: Tensor) -> Tensor:
    """Return the kernels of the smoothed map, of six real parts and of six imaginary parts."""
    taps = filters.flip(1)
    even, odd = F.pad(taps, (0, 1)), F.pad(taps, (1, 0))
    low_even, high_even = even.unbind()
    low_odd, high_odd = odd.unbind()
    mean = (low_even + low_odd) / 2
    down = (
        torch.stack((high_even, high_even, low_even)).unsqueeze(2) * math.sqrt(0.5),
        torch.stack((high_odd, high_odd, low_odd)).unsqueeze(2) * math.sqrt(0.5),
    )
    across = (
        torch.stack((low_even, high_even, high_even)).unsqueeze(1),
        torch.stack((low_odd, high_odd, high_odd)).unsqueeze(1),
    )
    # A quad's four values are (even, even), (even, odd), (odd, even), (odd, odd) rows and columns.
    a, b, c, d = (row * column for row in down for column in across)
    parts = (a - d, (a + d).flip(0), b + c, (b - c).flip(0))
    return torch.cat((torch.outer(mean, mean).unsqueeze(0), *parts)).unsqueeze(1)
