"""Take moduli of a dual-tree level by matrix products, with a derivative written by hand.

The border is folded into the matrices: filters of a few taps with one input channel are what
convolutions are slowest at. A small map is one vector, and all filters one matrix; others have one
matrix a direction. The backward pass multiplies by the same matrices, transposed, and is exact for every
border; where it is to be differentiated again, plain operations take its place.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import outside_modes
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.pieces import differentiable_gradient
from wavetwin.runtime.wavelets import dual_tree
from wavetwin.runtime.wavelets.extension import extend

__all__ = ["dense_moduli", "dense_smoothing", "multiply_maps"]

LARGEST_FLAT = 196
"""Pixels up to which one matrix for the whole map costs less than one a direction."""

PIECE_VALUES = 1 << 18
"""Values of the maps that are worked on at once, so that what lies between stays in the caches."""

Plain = Callable[[Tensor, Tensor], Tensor]
"""The same function of maps and filters, in operations that derivatives follow."""


def dense_moduli(
    x: Float[Tensor, "batch channels height width"],
    filters: str,
    mode: str,
    bias: float,
    plain: Plain,
) -> Float[Tensor, "batch 7 channels half_height half_width"]:
    """Return the smoothed map and six moduli; see `wavetwin.runtime.layers.moduli.split_moduli`.

    Args:
        x: float32 or float64, on the CPU, outside of compilers and function transforms.
        filters: a name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`.
        mode: of the border.
        bias: of the modulus; its square is a normal number of the type. So must be the squares of the
            parts: float32 has none above 1e19.
        plain: what is differentiated instead where second derivatives are wanted.
    """
    return _Dense.apply(x, _bank(x.shape[2], x.shape[3], filters, mode, x.dtype), bias, plain)


def dense_smoothing(
    x: Float[Tensor, "batch channels height width"], filters: str, mode: str
) -> Float[Tensor, "batch channels half_height half_width"]:
    """Return the smoothed maps alone; the arguments are those of `dense_moduli`."""
    down, across = (_smoothing(n, filters, mode, x.dtype) for n in x.shape[2:])
    return multiply_maps(x, down, across)


def multiply_maps(
    x: Float[Tensor, "batch channels height width"],
    down: Float[Tensor, "rows height"],
    across: Float[Tensor, "columns width"],
) -> Float[Tensor, "batch channels rows columns"]:
    """Return `down @ map @ across.T` of every map, in operations that derivatives follow."""
    maps = x.reshape(-1, *x.shape[2:])
    y = torch.bmm(down.expand(len(maps), -1, -1), maps).flatten(0, 1) @ across.t()
    return y.view(*x.shape[:2], len(down), len(across))


@runtime_checkable
class _Bank(Protocol):
    """The level's linear map, for maps of one size."""

    @property
    def filters(self) -> str:
        """The filters' name."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        ...

    def split(self, x: Tensor, smoothed: Tensor) -> Tensor:
        """Write the smoothed maps; return real and imaginary parts, (batch, 2, 6, channels, h, w)."""
        ...

    def join(self, gradient: Tensor, ratios: Tensor, result: Tensor) -> None:
        """Write the gradient of the maps.

        Args:
            gradient: of the result, (batch, 7, channels, h, w).
            ratios: the parts, each over its number's root.
            result: (batch, channels, height, width).
        """
        ...


class _Dense(torch.autograd.Function):
    """The moduli; keeps each complex number over its root for the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bank: _Bank, bias: float, plain: Plain) -> Tensor:
        ctx.bank, ctx.plain = bank, plain
        maps = x.new_empty(len(x), 7, x.shape[1], *bank.size)
        kept: list[Tensor] = []
        square = x.new_tensor(bias * bias)
        # Its root as the maps' roots are rounded: 0 comes out as 0, and nothing below it.
        offset = square.sqrt()
        for piece in _pieces(x):
            parts = bank.split(x[piece], maps[piece, 0])
            real, imaginary = parts.unbind(1)
            # bias^2 + real^2 + imaginary^2, in as few passes as there are.
            root = torch.addcmul(square, real, real)
            root = root.addcmul_(imaginary, imaginary).sqrt_()
            torch.sub(root, offset, out=maps[piece, 1:])
            if ctx.needs_input_grad[0]:
                kept.append(parts.div_(root.unsqueeze(1)))
        if kept:
            ctx.save_for_backward(x, *kept)
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        x, *kept = ctx.saved_tensors
        gradient, bank = gradients[0], ctx.bank
        if torch.is_grad_enabled():
            filters = dual_tree.level1_filters(bank.filters)[0].to(x.dtype)
            (result,) = differentiable_gradient(lambda x: ctx.plain(x, filters), (x,), gradient)
            return result, None, None, None
        result = x.new_empty(x.shape)
        for piece, ratios in zip(_pieces(x), kept, strict=True):
            bank.join(gradient[piece], ratios, result[piece])
        return result, None, None, None


def _pieces(x: Tensor) -> list[slice]:
    """Return slices of the batch that are worked on at once."""
    at_once = max(1, PIECE_VALUES // x[0].numel())
    return [slice(start, start + at_once) for start in range(0, len(x), at_once)]


@functools.lru_cache(maxsize=64)
def _bank(height: int, width: int, filters: str, mode: str, dtype: torch.dtype) -> _Bank:
    """Return what splits maps of this size, on the CPU."""
    with outside_modes():
        down, across = (_axis_matrix(n, filters, mode) for n in (height, width))
        size = (down.shape[1], across.shape[1])
        if height * width <= LARGEST_FLAT:
            return _Flat(filters, size, _map_matrix(down, across).to(dtype))
        return _Separable(filters, size, *_split_matrices(down, across, dtype))


@functools.lru_cache(maxsize=64)
def _smoothing(size: int, filters: str, mode: str, dtype: torch.dtype) -> Tensor:
    """Return (half, size)."""
    with outside_modes():
        return _axis_matrix(size, filters, mode)[0].to(dtype)


def _axis_matrix(size: int, filters: str, mode: str) -> Tensor:
    """Return (5, half, size): smoothed, low even, low odd, high even, high odd, float64."""
    taps = dual_tree.level1_filters(filters)[0].flip(1)
    samples = torch.eye(size, dtype=torch.float64, device="cpu")
    if size % 2:
        samples = torch.cat((samples, samples[-1:]))
    margin = taps.shape[1] // 2
    windows = extend(samples, 0, margin, margin, mode).unfold(0, taps.shape[1], 1)
    low, high = torch.matmul(windows, taps.t()).movedim(2, 0)
    return torch.stack(((low[::2] + low[1::2]) / 2, low[::2], low[1::2], high[::2], high[1::2]))


# One matrix for the whole map


def _map_matrix(down: Tensor, across: Tensor) -> Tensor:
    """Return (height * width, 13 * h * w): the smoothed map, six real parts, six imaginary parts."""

    def product(row: int, column: int) -> Tensor:
        return torch.einsum("ai,bj->ijab", down[row], across[column]).flatten(2).flatten(0, 1)

    real: list[Tensor] = []
    imaginary: list[Tensor] = []
    for row, column in ((3, 1), (3, 3), (1, 3)):
        a, b, c, d = (product(row + i, column + j) for i in (0, 1) for j in (0, 1))
        real[len(real) // 2 : len(real) // 2] = [a - d, a + d]
        imaginary[len(imaginary) // 2 : len(imaginary) // 2] = [b + c, b - c]
    parts = [part * math.sqrt(0.5) for part in (*real, *imaginary)]
    return torch.cat((product(0, 0), *parts), 1)


@dataclass(frozen=True, slots=True)
class _Flat:
    """Maps as vectors."""

    filters: str
    size: tuple[int, int]
    matrix: Tensor
    """(height * width, 13 * h * w)."""

    def split(self, x: Tensor, smoothed: Tensor) -> Tensor:
        values = x.reshape(-1, len(self.matrix)) @ self.matrix
        values = values.view(*x.shape[:2], 13, *self.size)
        smoothed.copy_(values[:, :, 0])
        return self._parts(values)

    def join(self, gradient: Tensor, ratios: Tensor, result: Tensor) -> None:
        values = gradient.new_empty(*result.shape[:2], 13, *self.size)
        values[:, :, 0] = gradient[:, 0]
        torch.mul(gradient[:, None, 1:], ratios, out=self._parts(values))
        flat = result.view(-1, len(self.matrix))
        torch.mm(values.view(len(flat), -1), self.matrix.t(), out=flat)

    def _parts(self, values: Tensor) -> Tensor:
        return values[:, :, 1:].unflatten(2, (2, 6)).permute(0, 2, 3, 1, 4, 5)


# One matrix a direction


def _split_matrices(down: Tensor, across: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    scaled = down[1:].flatten(0, 1) * math.sqrt(0.5)
    matrices = (across.flatten(0, 1).t(), down[0], scaled, down[0].t(), scaled.t())
    return tuple(matrix.to(dtype).contiguous() for matrix in matrices)


@dataclass(frozen=True, slots=True)
class _Separable:
    """Columns by one product, rows by one for each phase of the columns."""

    filters: str
    size: tuple[int, int]
    columns: Tensor
    """(width, 5 w): smoothed, low even, low odd, high even, high odd."""
    smooth: Tensor
    """(h, height)."""
    phases: Tensor
    """(4 h, height): the others, times the root of a half."""
    smooth_back: Tensor
    phases_back: Tensor
    """Transposed."""

    def split(self, x: Tensor, smoothed: Tensor) -> Tensor:
        h, w = self.size
        shape = (*x.shape[:2], -1, h, w)
        parts = x.new_empty(len(x), 2, 6, x.shape[1], h, w)
        by_columns = (x.reshape(-1, x.shape[3]) @ self.columns).view(-1, x.shape[2], 5, w)
        low, *lows_and_highs = by_columns.unbind(2)
        smoothed.copy_(torch.matmul(self.smooth, low).view(smoothed.shape))
        lows = [torch.matmul(self.phases[2 * h :], maps).view(shape) for maps in lows_and_highs[:2]]
        highs = [torch.matmul(self.phases, maps).view(shape) for maps in lows_and_highs[2:]]
        for band, (even, odd), first in ((0, lows, 0), (1, highs, 2), (2, highs, 0)):
            real, imaginary, mirrored_real, mirrored_imaginary = _pair(parts, band)
            a, c = even[:, :, first], even[:, :, first + 1]
            b, d = odd[:, :, first], odd[:, :, first + 1]
            torch.sub(a, d, out=real)
            torch.add(b, c, out=imaginary)
            torch.add(a, d, out=mirrored_real)
            torch.sub(b, c, out=mirrored_imaginary)
        return parts

    def join(self, gradient: Tensor, ratios: Tensor, result: Tensor) -> None:
        h, w = self.size
        batch, channels, height, width = result.shape
        of_parts = gradient[:, None, 1:] * ratios
        by_columns = result.new_empty(batch * channels, height, 5, w)
        of_smooth = gradient[:, 0].reshape(-1, h, w)
        by_columns[:, :, 0] = torch.matmul(self.smooth_back, of_smooth)
        lows = result.new_empty(2, batch, channels, 2, h, w)
        highs = result.new_empty(2, batch, channels, 4, h, w)
        for band, (even, odd), first in ((0, lows, 0), (1, highs, 2), (2, highs, 0)):
            real, imaginary, mirrored_real, mirrored_imaginary = _pair(of_parts, band)
            torch.add(real, mirrored_real, out=even[:, :, first])
            torch.add(imaginary, mirrored_imaginary, out=odd[:, :, first])
            torch.sub(imaginary, mirrored_imaginary, out=even[:, :, first + 1])
            torch.sub(mirrored_real, real, out=odd[:, :, first + 1])
        for column, phases, back in (
            (1, lows, self.phases_back[:, 2 * h :]),
            (3, highs, self.phases_back),
        ):
            for odd in (0, 1):
                rows = phases[odd].view(batch * channels, -1, w)
                by_columns[:, :, column + odd] = torch.matmul(back, rows)
        torch.mm(by_columns.view(-1, 5 * w), self.columns.t(), out=result.view(-1, width))


def _pair(parts: Tensor, band: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return real and imaginary part at an angle below 90 degrees, and those of its mirror image."""
    return parts[:, 0, band], parts[:, 1, band], parts[:, 0, 5 - band], parts[:, 1, 5 - band]
