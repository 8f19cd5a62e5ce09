"""Extend maps beyond their borders, in PyWavelets' nine modes, for any size and any margin."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wavetwin.ir.wavelets import BOUNDARY_MODES

__all__ = ["check_mode", "extend"]


def check_mode(mode: str) -> None:
    """Check the name of a boundary mode.

    Raises:
        ValueError: there is none of this name.
    """
    if mode not in BOUNDARY_MODES:
        raise ValueError(f"no boundary mode {mode!r}: one of {', '.join(BOUNDARY_MODES)}")


def extend(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """Return a map with margins along one dimension; linear, margins may be longer than the map.

    Args:
        x: any shape.
        dim: the dimension, of n samples.
        before: samples before the first, 0 or more.
        after: samples after the last, 0 or more. `periodization` counts from sample n on, too: of an
            odd n the first of them repeats the last sample.
        mode: one of `BOUNDARY_MODES`.

    Raises:
        ValueError: one sample has no reflection about itself.
    """
    n = x.shape[dim]
    if mode in ("reflect", "antireflect") and n == 1:
        raise ValueError(f"a map of one sample has no extension in mode {mode!r}: use symmetric")
    parts = [x]
    margin = _MARGINS[mode]
    if before:
        positions = torch.arange(-before, 0, device=x.device)
        parts.insert(0, margin(x, dim, positions))
    if after:
        positions = torch.arange(after, device=x.device) + n
        parts.append(margin(x, dim, positions))
    return torch.cat(parts, dim) if len(parts) > 1 else x


def _zero(x: Tensor, dim: int, at: Tensor) -> Tensor:
    shape = list(x.shape)
    shape[dim] = at.shape[0]
    return x.new_zeros(shape)


def _constant(x: Tensor, dim: int, at: Tensor) -> Tensor:
    return x.index_select(dim, at.clamp(0, x.shape[dim] - 1))


def _symmetric(x: Tensor, dim: int, at: Tensor) -> Tensor:
    n = x.shape[dim]
    within = _modulo(at, 2 * n)
    return x.index_select(dim, torch.minimum(within, 2 * n - 1 - within))


def _antisymmetric(x: Tensor, dim: int, at: Tensor) -> Tensor:
    n = x.shape[dim]
    signs = 1 - 2 * (_modulo(at, 2 * n) >= n).to(x.dtype)
    return _symmetric(x, dim, at) * _along(signs, x, dim)


def _reflect(x: Tensor, dim: int, at: Tensor) -> Tensor:
    period = 2 * (x.shape[dim] - 1)
    within = _modulo(at, period)
    return x.index_select(dim, torch.minimum(within, period - within))


def _antireflect(x: Tensor, dim: int, at: Tensor) -> Tensor:
    """Odd about the first and about the last sample: from period to period it climbs."""
    n = x.shape[dim]
    period = 2 * (n - 1)
    within = _modulo(at, period)
    is_back = _along((within >= n).to(x.dtype), x, dim)
    periods = _along(at.div(period, rounding_mode="floor").to(x.dtype), x, dim)
    first, last = x.narrow(dim, 0, 1), x.narrow(dim, n - 1, 1)
    reflected = _reflect(x, dim, at)
    return reflected * (1 - 2 * is_back) + 2 * is_back * last + 2 * periods * (last - first)


def _periodic(x: Tensor, dim: int, at: Tensor) -> Tensor:
    return x.index_select(dim, _modulo(at, x.shape[dim]))


def _periodization(x: Tensor, dim: int, at: Tensor) -> Tensor:
    n = x.shape[dim]
    return x.index_select(dim, _modulo(at, n + n % 2).clamp(max=n - 1))


def _smooth(x: Tensor, dim: int, at: Tensor) -> Tensor:
    """A straight line through the last two samples; a constant where there is only one."""
    n = x.shape[dim]
    edge = at.clamp(0, n - 1)
    inward = torch.where(at < 0, 1, n - 2).clamp(0, n - 1)
    at_edge = x.index_select(dim, edge)
    slope = at_edge - x.index_select(dim, inward)
    distance = (at - edge).abs().to(x.dtype)
    return at_edge + slope * _along(distance, x, dim)


def _modulo(at: Tensor, period: int) -> Tensor:
    """Return positions within a period, which a trace may know as a symbol only."""
    # torch's ONNX exporter has the remainder of two tensors, and none by a symbol.
    return torch.remainder(at, at.new_full((), period))


def _along(values: Tensor, x: Tensor, dim: int) -> Tensor:
    """Return numbers along a dimension, to be multiplied with `x`."""
    shape = [1] * x.ndim
    shape[dim] = -1
    return values.view(shape)


_MARGINS: dict[str, Callable[[Tensor, int, Tensor], Tensor]] = {
    "zero": _zero,
    "constant": _constant,
    "symmetric": _symmetric,
    "periodic": _periodic,
    "smooth": _smooth,
    "periodization": _periodization,
    "reflect": _reflect,
    "antisymmetric": _antisymmetric,
    "antireflect": _antireflect,
}
assert list(_MARGINS) == list(BOUNDARY_MODES), "every mode has its margin"
