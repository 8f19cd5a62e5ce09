"""Call the native kernel for one level of the dual tree: a smoothed map and six moduli of every map.

Eight maps are filtered at a time, in vectors of eight. The borders of all modes are sums of samples of the
map, which are laid out once for each size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import outside_modes
from wavetwin.runtime.bank.native.cascade import LANES
from wavetwin.runtime.bank.native.compute import call_kernel
from wavetwin.runtime.bank.native.windows import sparse_rows

__all__ = ["Extend", "Plain", "native_moduli"]

_PARTS = 12
"""Real and imaginary parts of a quad of samples."""

Extend = Callable[[Tensor, int, int], Tensor]
"""Of samples (n, ...) made even, with margins of so many samples before and after."""

Plain = Callable[[Tensor], Tensor]
"""The same function of maps, in operations that derivatives follow."""


def native_moduli(x: Tensor, taps: Tensor, extend: Extend, bias: float, plain: Plain) -> Tensor:
    """Return the smoothed map and the six moduli, (batch, 7, channels, half_height, half_width).

    Args:
        x: (batch, channels, height, width), float32 or float64, on the CPU, in any layout.
        taps: (2, taps) that rows and columns are correlated with, low-pass and high-pass, float64; an odd
            number.
        extend: one function for each border, the same object for the same border.
        bias: of the modulus, positive.
        plain: what is differentiated instead where second derivatives are wanted.
    """
    return _Moduli.apply(x, taps, extend, bias, plain)


class _Moduli(torch.autograd.Function):
    """`native_moduli`; keeps each complex number over its root for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, taps: Tensor, extend: Extend, bias: float, plain: Plain
    ) -> Tensor:
        batch, channels, height, width = x.shape
        half = (height + 1) // 2, (width + 1) // 2
        result = torch.empty(batch, 7, channels, *half, dtype=x.dtype, device=x.device)
        kept = None
        if ctx.needs_input_grad[0]:
            groups = -(-batch * channels // LANES)
            kept = result.new_empty(groups * half[0] * half[1] * _PARTS * LANES)
            ctx.save_for_backward(x, kept)
        ctx.settings, ctx.plain = (taps, extend, bias), plain
        numbers, values = _arguments(x, x, *ctx.settings)
        call_kernel("level_forward", x, numbers, values, x, result, kept)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        x, kept = ctx.saved_tensors
        if torch.is_grad_enabled():
            view = x.view_as(x)
            (found,) = torch.autograd.grad(ctx.plain(view), view, gradients, create_graph=True)
            return found, None, None, None, None
        of_x = torch.empty_like(x)
        numbers, values = _arguments(x, of_x, *ctx.settings)
        call_kernel("level_backward", x, numbers, values, gradients[0].contiguous(), kept, of_x)
        return of_x, None, None, None, None


def _arguments(
    x: Tensor, of_x: Tensor, taps: Tensor, extend: Extend, bias: float
) -> tuple[Tensor, Tensor]:
    """Return what `read_level` of level1.h reads: integers, and numbers of the type of x."""
    _, channels, height, width = x.shape
    sides = [_border(length, taps.shape[1] // 2, extend) for length in (height, width)]
    even = [length + length % 2 for length in (height, width)]
    start = [channels, height, width, taps.shape[1], *even, *x.stride(), *of_x.stride()]
    numbers = [torch.tensor(start, dtype=torch.int64, device="cpu"), *(side[0] for side in sides)]
    return torch.cat(numbers), _values(height, width, taps, extend, bias, x.dtype)


@functools.lru_cache(maxsize=64)
def _values(
    height: int, width: int, taps: Tensor, extend: Extend, bias: float, dtype: torch.dtype
) -> Tensor:
    """Return the bias squared, its root as the type rounds it, taps and the weights of the borders."""
    with outside_modes():
        square = torch.tensor(bias * bias, dtype=dtype)
        sides = [_border(length, taps.shape[1] // 2, extend)[1] for length in (height, width)]
        lanes = taps.unsqueeze(2).expand(-1, -1, LANES).flatten()
        return torch.cat(
            (square.view(1), square.sqrt().view(1), *(v.to(dtype) for v in (lanes, *sides)))
        )


@functools.lru_cache(maxsize=64)
def _border(length: int, margin: int, extend: Extend) -> tuple[Tensor, Tensor]:
    """Return of which samples each sample with the margins is a sum: where these begin, and which; weights."""
    with outside_modes():
        samples = torch.eye(length, dtype=torch.float64)
        if length % 2:
            samples = torch.cat((samples, samples[-1:]))
        matrix = extend(samples, margin, margin)
        return sparse_rows(matrix)
