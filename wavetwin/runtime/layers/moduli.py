"""Split maps by one dual-tree level into a smoothed map and six moduli: scattering and invariant layers.

On a CPU each direction is one matrix product, with the border folded into the matrix: filters of a few
taps with one input channel are what convolutions are slowest at. Compilers, other devices and large
maps get one convolution of step 2, of operations that derivatives of any order follow.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import is_eager
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.modulus import modulus
from wavetwin.runtime.layers.pieces import differentiable_gradient
from wavetwin.runtime.wavelets import dual_tree
from wavetwin.runtime.wavelets.extension import check_mode, extend

NUM_BANDS = 7
"""The smoothed map and the moduli of six angles."""

LARGEST_DENSE = 64
"""Rows or columns up to which a dense matrix costs less than a convolution."""

PIECE_VALUES = 1 << 20
"""Values of the maps that are worked on at once, so that what lies between stays in the caches."""

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
) -> Float[Tensor, "batch 7 channels half_height half_width"]:
    """Return the low band averaged in 2x2 windows, and the moduli at 15, 45, 75, 105, 135, 165 degrees.

    Sizes are rounded up: an odd map repeats its last line.

    Args:
        x: the maps.
        filters: of analysis, from `level1_filters`, in the type of `x`.
        level: their name, the border and the bias.
    """
    if _is_dense(x, level):
        return _Dense.apply(x, level)
    return _plain_moduli(x, filters, level)


def _is_dense(x: Tensor, level: Level1) -> bool:
    """Return whether matrix products with a hand-written derivative apply, and pay."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and is_eager()
        and max(x.shape[2:]) <= LARGEST_DENSE
        and x.numel() > 0
        and level.bias >= SMALLEST_BIAS
    )


# As one convolution


def _plain_moduli(x: Tensor, filters: Tensor, level: Level1) -> Tensor:
    x = dual_tree.make_even(x)
    margin = filters.shape[1] // 2
    for dim in (2, 3):
        x = extend(x, dim, margin, margin, level.mode)
    batch, channels = x.shape[:2]
    maps = F.conv2d(x.flatten(0, 1).unsqueeze(1), _kernels(filters), stride=2)
    maps = maps.reshape(batch, channels, 13, *maps.shape[2:]).transpose(1, 2)
    low, real, imaginary = maps[:, :1], maps[:, 1:7], maps[:, 7:]
    return torch.cat((low, modulus(real, imaginary, level.bias)), 1)


def _kernels(filters: Tensor) -> Tensor:
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


# As matrix products


@dataclass(frozen=True, slots=True)
class _Axis:
    """Matrices along one axis of n samples, h being half of it, rounded up."""

    half: int
    columns: Tensor
    """(n, 5 h): smoothed, low even, low odd, high even, high odd."""
    smooth: Tensor
    """(h, n)."""
    phases: Tensor
    """(4 h, n): the others, times the root of a half."""
    smooth_back: Tensor
    phases_back: Tensor
    """Transposed."""

    @property
    def high(self) -> Tensor:
        """Both phases of the high-pass: (2 h, n)."""
        return self.phases[2 * self.half :]

    @property
    def high_back(self) -> Tensor:
        """Transposed."""
        return self.phases_back[:, 2 * self.half :]


@functools.lru_cache(maxsize=64)
def _axis(size: int, filters: str, mode: str, dtype: torch.dtype) -> _Axis:
    with torch.inference_mode(False), torch.no_grad():
        taps = dual_tree.level1_filters(filters)[0].flip(1)
        samples = torch.eye(size, dtype=torch.float64, device="cpu")
        if size % 2:
            samples = torch.cat((samples, samples[-1:]))
        margin = taps.shape[1] // 2
        windows = extend(samples, 0, margin, margin, mode).unfold(0, taps.shape[1], 1)
        low, high = torch.matmul(windows, taps.t()).movedim(2, 0)
        half = len(low) // 2
        phases = torch.cat((low[::2], low[1::2], high[::2], high[1::2]))
        smooth = (low[::2] + low[1::2]) / 2
        columns = torch.cat((smooth, phases)).t()
        phases = phases * math.sqrt(0.5)
        matrices = (columns, smooth, phases, smooth.t(), phases.t())
        columns, smooth, phases, smooth_back, phases_back = (
            matrix.to(dtype).contiguous() for matrix in matrices
        )
        return _Axis(half, columns, smooth, phases, smooth_back, phases_back)


class _Dense(torch.autograd.Function):
    """The moduli by matrix products; keeps each complex number over its root for the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: Level1) -> Tensor:
        batch, channels, height, width = x.shape
        down, across = (_axis(n, level.filters, level.mode, x.dtype) for n in (height, width))
        ctx.level, ctx.axes = level, (down, across)
        keeps = ctx.needs_input_grad[0]
        maps = x.new_empty(batch, NUM_BANDS, channels, down.half, across.half)
        parts = x.new_empty(batch if keeps else 0, 2, 6, *maps.shape[2:])
        for piece in _pieces(x):
            scratch = parts[piece] if keeps else maps.new_empty(len(x[piece]), *parts.shape[1:])
            _split(x[piece], down, across, maps[piece], scratch)
            _take_moduli(scratch, level.bias, maps[piece], keeps)
        if keeps:
            ctx.save_for_backward(x, parts)
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, parts = ctx.saved_tensors
        gradient, level = gradients[0], ctx.level
        if torch.is_grad_enabled():
            filters = dual_tree.level1_filters(level.filters)[0].to(x.dtype)
            (result,) = differentiable_gradient(
                lambda x: _plain_moduli(x, filters, level), (x,), gradient
            )
            assert result is not None
            return result, None
        result = x.new_empty(x.shape)
        down, across = ctx.axes
        for piece in _pieces(x):
            _join(gradient[piece], parts[piece], down, across, result[piece])
        return result, None


def _pieces(x: Tensor) -> list[slice]:
    """Return slices of the batch that are worked on at once."""
    at_once = max(1, PIECE_VALUES // x[0].numel())
    return [slice(start, start + at_once) for start in range(0, len(x), at_once)]


def _quads(parts: Tensor, band: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return real and imaginary part at an angle below 90 degrees, and those of its mirror image."""
    return parts[:, 0, band], parts[:, 1, band], parts[:, 0, 5 - band], parts[:, 1, 5 - band]


def _split(x: Tensor, down: _Axis, across: _Axis, maps: Tensor, parts: Tensor) -> None:
    """Write the smoothed map and both parts of the six bands."""
    size = (*x.shape[:2], -1, down.half, across.half)
    by_columns = (x.reshape(-1, x.shape[3]) @ across.columns).view(-1, x.shape[2], 5, across.half)
    smooth, *lows_and_highs = by_columns.unbind(2)
    maps[:, 0] = torch.matmul(down.smooth, smooth).view(size)[:, :, 0]
    lows = [torch.matmul(down.high, maps).view(size) for maps in lows_and_highs[:2]]
    highs = [torch.matmul(down.phases, maps).view(size) for maps in lows_and_highs[2:]]
    for band, (even, odd), first in ((0, lows, 0), (1, highs, 2), (2, highs, 0)):
        real, imaginary, mirrored_real, mirrored_imaginary = _quads(parts, band)
        a, b, c, d = (
            even[:, :, first],
            odd[:, :, first],
            even[:, :, first + 1],
            odd[:, :, first + 1],
        )
        torch.sub(a, d, out=real)
        torch.add(b, c, out=imaginary)
        torch.add(a, d, out=mirrored_real)
        torch.sub(b, c, out=mirrored_imaginary)


def _take_moduli(parts: Tensor, bias: float, maps: Tensor, keeps: bool) -> None:
    """Write the moduli; the parts become those of each complex number over its root."""
    real, imaginary = parts.unbind(1)
    squares = (real * real).addcmul_(imaginary, imaginary)
    root = (squares + bias * bias).sqrt_()
    # The same as root - bias, without subtracting nearly equal numbers.
    torch.div(squares, root + bias, out=maps[:, 1:])
    if keeps:
        parts.div_(root.unsqueeze(1))


def _join(gradient: Tensor, parts: Tensor, down: _Axis, across: _Axis, result: Tensor) -> None:
    """Write the gradient of the maps that were split."""
    batch, channels, height, width = result.shape
    of_parts = gradient[:, None, 1:] * parts
    by_columns = result.new_empty(batch * channels, height, 5, across.half)
    of_smooth = gradient[:, 0].reshape(-1, down.half, across.half)
    by_columns[:, :, 0] = torch.matmul(down.smooth_back, of_smooth)
    lows = result.new_empty(2, batch, channels, 2, down.half, across.half)
    highs = result.new_empty(2, batch, channels, 4, down.half, across.half)
    for band, (even, odd), first in ((0, lows, 0), (1, highs, 2), (2, highs, 0)):
        real, imaginary, mirrored_real, mirrored_imaginary = _quads(of_parts, band)
        torch.add(real, mirrored_real, out=even[:, :, first])
        torch.add(imaginary, mirrored_imaginary, out=odd[:, :, first])
        torch.sub(imaginary, mirrored_imaginary, out=even[:, :, first + 1])
        torch.sub(mirrored_real, real, out=odd[:, :, first + 1])
    for column, phases, back in (
        (1, lows, down.high_back),
        (3, highs, down.phases_back),
    ):
        for odd in (0, 1):
            rows = phases[odd].view(batch * channels, -1, across.half)
            by_columns[:, :, column + odd] = torch.matmul(back, rows)
    torch.mm(by_columns.view(-1, 5 * across.half), across.columns.t(), out=result.view(-1, width))
