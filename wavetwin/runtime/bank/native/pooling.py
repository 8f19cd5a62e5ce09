"""Normalise, rectify, take the maximum of maps and blur it at once, by the native kernel.

No map of the size before the pooling is written, neither forward nor, but for the gradient of the maps,
backward: of each window a byte says which sample was taken. Maps may come in several tensors, whose
channels follow each other in the result alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import is_dispatch_watched, is_eager, is_plain_tensor
from wavetwin.runtime.bank.native.cascade import LANES
from wavetwin.runtime.bank.native.compute import call_kernel

__all__ = [
    "EACH",
    "BatchStatistics",
    "Blur",
    "Norm",
    "Window",
    "batch_statistics",
    "is_for_kernel",
    "native_blur",
    "native_blur_adjoint",
    "native_pool",
]

_LARGEST_WINDOW = 15
"""Side of a window whose samples all have a code of a byte."""


@dataclass(frozen=True)
class Window:
    """Which samples a maximum is taken of."""

    size: int
    step: int
    margin: int

    def outputs(self, length: int) -> int:
        """Return the number of windows along a side."""
        return (length + 2 * self.margin - self.size) // self.step + 1


EACH = Window(1, 1, 0)
"""Every sample by itself."""


@dataclass(frozen=True, eq=False)
class Blur:
    """A filter along both directions after a maximum of step 1, at every `stride`-th row and column.

    A map is reflected at its borders; it is larger than the filter's margins.
    """

    taps: Tensor
    """Of one direction."""
    stride: int
    by_torch: Callable[[Tensor, Tensor, int], Tensor]
    """Of (batch, channels, height, width), the taps and the stride: the same in torch's operations."""

    def outputs(self, length: int) -> int:
        """Return the number of kept samples along a side."""
        return -(-length // self.stride)


@dataclass(frozen=True, eq=False)
class _Pooling:
    """What is made of values, which may have been normed."""

    window: Window
    blur: Blur | None = None
    relu: bool = True

    @property
    def keeps_codes(self) -> bool:
        """Whether the backward pass needs to know which samples were taken."""
        return self.relu or self.window != EACH

    def outputs(self, length: int) -> int:
        """Return the number of results along a side."""
        maxima = self.window.outputs(length)
        return maxima if self.blur is None else self.blur.outputs(maxima)

    def num_codes(self, parts: Sequence[Tensor]) -> int:
        """Return the bytes that say which samples were taken, of the joined maps."""
        maxima = math.prod(map(self.window.outputs, parts[0].shape[2:])) * len(parts[0])
        if self.blur is None:
            return maxima * sum(part.shape[1] for part in parts)
        return maxima * sum(-(-part.shape[1] // LANES) * LANES for part in parts)

    def call(
        self,
        what: str,
        parts: Sequence[Tensor],
        gradient: Tensor | None,
        *arguments: Tensor | list[Tensor] | None,
    ) -> None:
        """Call the kernel's function of pooling with a blur, or without one."""
        numbers = _numbers(parts, self.window, gradient)
        if self.blur is None:
            call_kernel(f"pool_{what}", parts[0], numbers, list(parts), *arguments)
            return
        taps = self.blur.taps
        numbers = (len(taps), self.blur.stride, int(self.relu), *numbers)
        taps = taps.to(parts[0].dtype).contiguous()
        call_kernel(f"blur_{what}", parts[0], numbers, taps, list(parts), *arguments)


@dataclass(frozen=True, eq=False)
class BatchStatistics:
    """Of every channel of the joined maps, float64."""

    mean: Tensor
    variance: Tensor
    """Divided by the number of values, not by one less."""
    values: int
    """Of a channel in the batch."""


def is_for_kernel(parts: Sequence[Tensor], window: Window, blur_size: int = 1) -> bool:
    """Return whether the kernel takes these maps: on a CPU, channels last, in eager mode.

    Maxima that are blurred must be larger than the filter's margins.
    """
    first = parts[0]
    return (
        window.size <= _LARGEST_WINDOW
        and is_eager()
        and not is_dispatch_watched()
        and first.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and all(
            is_plain_tensor(part)
            and part.device.type == "cpu"
            and part.dtype == first.dtype
            and part.ndim == 4
            and part.shape[2:] == first.shape[2:]
            and part.shape[0] == first.shape[0]
            and (part.stride(1) == 1 or part.shape[1] == 1)
            and part.numel() > 0
            for part in parts
        )
        and all(window.outputs(length) > blur_size // 2 for length in first.shape[2:])
    )


def batch_statistics(parts: Sequence[Tensor], window: Window) -> BatchStatistics:
    """Return mean and variance of the channels of maps that `is_for_kernel` takes."""
    channels = sum(part.shape[1] for part in parts)
    mean, variance = (torch.empty(channels, dtype=torch.float64, device="cpu") for _ in range(2))
    call_kernel("pool_statistics", parts[0], _numbers(parts, window), list(parts), mean, variance)
    return BatchStatistics(mean, variance, parts[0].numel() // parts[0].shape[1])


@dataclass(frozen=True, eq=False)
class Norm:
    """What is made of values before their positive parts are taken, a channel at a time.

    `(x - mean) / sqrt(variance + eps) * weight + bias`, of an energy `x / sqrt(energy / 2 + eps) *
    |weight| + bias`, and without a weight `x + bias`.
    """

    bias: Tensor
    weight: Tensor | None = None
    mean: Tensor | None = None
    spread: Tensor | None = None
    """Variance or, where there is no mean, energy."""
    eps: float = 0.0
    batch_values: int | None = None
    """Of a channel in the batch, where the statistics are the batch's, and have derivatives."""


_NO_NORM: tuple[None, None, None, None, float, None] = (None, None, None, None, 0.0, None)


def native_pool(
    parts: Sequence[Tensor],
    window: Window,
    norm: Norm | None = None,
    blur: Blur | None = None,
    relu: bool = True,
) -> Tensor:
    """Return the largest positive value of every window, 0 where there is none, blurred; channels last.

    Twice differentiable, the second time by torch's operations.

    Args:
        parts: maps that `is_for_kernel` takes; their channels are joined in the result.
        window: what the maximum is taken of; of step 1 before a blur.
        norm: of the joined channels; None: values are taken as they are.
        blur: of the maxima; None: they are the result.
        relu: whether positive parts are taken; they are where there is no blur.
    """
    assert relu or blur is not None, "the kernel has no maximum of negative values alone"
    assert blur is None or window.step == 1, "a blur is of all maxima"
    pooling = _Pooling(window, blur, relu)
    if norm is None:
        return _Pool.apply(pooling, *_NO_NORM, *parts)
    numbers = (norm.mean, norm.spread, norm.eps, norm.batch_values)
    return _Pool.apply(pooling, norm.weight, norm.bias, *numbers, *parts)


def native_blur(x: Tensor, blur: Blur) -> Tensor:
    """Return a map that `is_for_kernel` takes, blurred; channels last, without derivatives."""
    pooling = _Pooling(EACH, blur, relu=False)
    result = _empty(x, x.shape[1], tuple(map(pooling.outputs, x.shape[2:])))
    pooling.call("forward", [x], None, None, None, result, None)
    return result


def native_blur_adjoint(gradient: Tensor, blur: Blur, height: int, width: int) -> Tensor:
    """Return the adjoint of `native_blur` for maps of `height` by `width`; channels last."""
    pooling = _Pooling(EACH, blur, relu=False)
    result = _empty(gradient, gradient.shape[1], (height, width))
    gradient = _channels_last(gradient)
    pooling.call("backward", [result], gradient, gradient, None, None, [result])
    return result


class _Pool(torch.autograd.Function):
    """`native_pool`; keeps the maps and a byte for each of the results."""

    @staticmethod
    def forward(
        ctx: Any,
        pooling: _Pooling,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        spread: Tensor | None,
        eps: float,
        batch_values: int | None,
        *parts: Tensor,
    ) -> Tensor:
        x = parts[0]
        channels = sum(part.shape[1] for part in parts)
        result = _empty(x, channels, tuple(map(pooling.outputs, x.shape[2:])))
        scale = shift = codes = None
        if bias is not None:
            scale, shift = bias.new_ones(len(bias), dtype=torch.float64), bias.double()
            if weight is not None and spread is not None:
                scale = _factor(weight, mean, spread, eps)
            if mean is not None:
                shift = shift - mean.double() * scale
            scale, shift = scale.to(x.dtype), shift.to(x.dtype)
        if any(ctx.needs_input_grad):
            if pooling.keeps_codes:
                codes = torch.empty(pooling.num_codes(parts), dtype=torch.uint8, device="cpu")
            ctx.save_for_backward(weight, bias, mean, spread, codes, *parts)
        ctx.pooling, ctx.eps, ctx.batch_values = pooling, eps, batch_values
        pooling.call("forward", parts, None, scale, shift, result, codes)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, bias, mean, spread, codes, *parts = ctx.saved_tensors
        needed: tuple[bool, ...] = tuple(ctx.needs_input_grad)
        if torch.is_grad_enabled():
            return _differentiable(ctx, gradients[0], (weight, bias, *parts), mean, spread, needed)
        gradient = _channels_last(gradients[0])
        pooling: _Pooling = ctx.pooling
        of_weight = of_bias = coefficients = None
        x = parts[0]
        if bias is not None:
            sums, products = torch.empty(2, len(bias), dtype=torch.float64, device="cpu")
            pooling.call("sums", parts, gradient, gradient, codes, sums, products)
            of_weight, rows = _through_norm(ctx, sums, products, weight, mean, spread)
            of_bias = sums.to(bias.dtype)
            coefficients = rows.to(x.dtype)
        of_parts: list[Tensor | None] = [None] * len(parts)
        if any(needed[7:]):
            found = [_empty(part, part.shape[1], part.shape[2:]) for part in parts]
            pooling.call("backward", parts, gradient, gradient, codes, coefficients, found)
            of_parts = list(found)
        return None, of_weight, of_bias, None, None, None, None, *of_parts


def _empty(x: Tensor, channels: int, size: Sequence[int]) -> Tensor:
    """Return room for maps of a batch, channels last."""
    shape = (len(x), channels, *size)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _channels_last(gradient: Tensor) -> Tensor:
    """Return a gradient that lies as the kernel reads it."""
    if gradient.stride(1) == 1:
        return gradient
    return gradient.contiguous(memory_format=torch.channels_last)


def _factor(weight: Tensor, mean: Tensor | None, spread: Tensor, eps: float) -> Tensor:
    """Return what a norm multiplies with, float64."""
    if mean is None:
        return weight.double().abs() * (spread.double() / 2 + eps).rsqrt()
    return weight.double() * (spread.double() + eps).rsqrt()


def _through_norm(
    ctx: Any,
    sums: Tensor,
    products: Tensor,
    weight: Tensor | None,
    mean: Tensor | None,
    spread: Tensor | None,
) -> tuple[Tensor | None, Tensor]:
    """Return the weight's gradient, and a, b and c: the maps' is a * that after the norm + b * x + c.

    Args:
        ctx: of the function.
        sums: of the gradients after the norm.
        products: of these with the values before it.
        weight: of the norm.
        mean: of the norm.
        spread: of the norm.
    """
    zeros = torch.zeros_like(sums)
    if weight is None or spread is None:
        return None, torch.stack((torch.ones_like(sums), zeros, zeros))
    factor = _factor(weight, mean, spread, ctx.eps)
    slope = offset = zeros
    if mean is None:
        inverse = (spread.double() / 2 + ctx.eps).rsqrt()
        of_weight = weight.double().sign() * inverse * products
        if ctx.batch_values is not None:
            slope = -0.5 * factor * inverse.square() * products / ctx.batch_values
    else:
        inverse = (spread.double() + ctx.eps).rsqrt()
        of_weight = inverse * (products - mean.double() * sums)
        if ctx.batch_values is not None:
            # Of (x - mean) * inverse: what mean and variance of the batch take off.
            slope = -factor * inverse * of_weight / ctx.batch_values
            offset = -factor * sums / ctx.batch_values - slope * mean.double()
    return of_weight.to(weight.dtype), torch.stack((factor, slope, offset))


def _differentiable(
    ctx: Any,
    gradient: Tensor,
    inputs: tuple[Tensor | None, ...],
    mean: Tensor | None,
    spread: Tensor | None,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Return the gradients in operations that autograd follows."""
    weight, bias, *parts = [None if value is None else value.view_as(value) for value in inputs]
    maps = torch.cat([part for part in parts if part is not None], 1)
    pooling: _Pooling = ctx.pooling
    window = pooling.window
    of_batch = ctx.batch_values is not None
    if bias is not None and (weight is None or spread is None):
        maps = maps + bias[:, None, None]
    elif bias is not None and weight is not None and spread is not None and mean is None:
        energy = maps.square().mean((0, 2, 3)) if of_batch else spread.to(maps.dtype)
        factor = weight.abs() * (energy / 2 + ctx.eps).rsqrt()
        maps = maps * factor[:, None, None] + bias[:, None, None]
    elif mean is not None and spread is not None:
        running = (None, None) if of_batch else (mean.to(maps.dtype), spread.to(maps.dtype))
        maps = F.batch_norm(maps, *running, weight, bias, of_batch, 0.0, ctx.eps)
    maps = F.relu(maps) if pooling.relu else maps
    result = F.max_pool2d(maps, window.size, window.step, window.margin)
    if pooling.blur is not None:
        result = pooling.blur.by_torch(result, pooling.blur.taps, pooling.blur.stride)
    are_needed = (*needed[1:3], *needed[7:])
    of_inputs = zip((weight, bias, *parts), are_needed, strict=True)
    wanted = [value for value, is_needed in of_inputs if is_needed and value is not None]
    found = iter(torch.autograd.grad(result, wanted, gradient, create_graph=True))
    of_weight, of_bias, *of_parts = (next(found) if each else None for each in are_needed)
    return None, of_weight, of_bias, None, None, None, None, *of_parts


def _numbers(
    parts: Sequence[Tensor], window: Window, gradient: Tensor | None = None
) -> tuple[int, ...]:
    """Return what `Pooling` of pooling.h reads."""
    height, width = parts[0].shape[2:]
    strides = (0, 0, 0, 0) if gradient is None else gradient.stride()
    numbers = [
        height, width, window.size, window.step, window.margin, window.outputs(height),
        window.outputs(width), strides[0], strides[2], strides[3], len(parts),
    ]  # fmt: skip
    for part in parts:
        numbers += [part.shape[1], part.stride(0), part.stride(2), part.stride(3)]
    return tuple(numbers)
