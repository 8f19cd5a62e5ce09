"""Normalise, rectify and take the maximum of maps at once, by the native kernel.

No map of the size before the pooling is written, neither forward nor, but for the gradient of the maps,
backward: of each window a byte says which sample was taken. Maps may come in several tensors, whose
channels follow each other in the result alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import is_dispatch_watched, is_eager, is_plain_tensor
from wavetwin.runtime.bank.native.compute import call_kernel

__all__ = ["BatchStatistics", "Window", "batch_statistics", "is_for_kernel", "native_pool"]

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


@dataclass(frozen=True, eq=False)
class BatchStatistics:
    """Of every channel of the joined maps, float64."""

    mean: Tensor
    variance: Tensor
    """Divided by the number of values, not by one less."""
    values: int
    """Of a channel in the batch."""


def is_for_kernel(parts: Sequence[Tensor], window: Window) -> bool:
    """Return whether the kernel takes these maps: on a CPU, channels last, in eager mode."""
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
        and all(window.outputs(length) > 0 for length in first.shape[2:])
    )


def batch_statistics(parts: Sequence[Tensor], window: Window) -> BatchStatistics:
    """Return mean and variance of the channels of maps that `is_for_kernel` takes."""
    channels = sum(part.shape[1] for part in parts)
    mean, variance = (torch.empty(channels, dtype=torch.float64, device="cpu") for _ in range(2))
    call_kernel("pool_statistics", parts[0], _numbers(parts, window), list(parts), mean, variance)
    return BatchStatistics(mean, variance, parts[0].numel() // parts[0].shape[1])


def native_pool(
    parts: Sequence[Tensor],
    window: Window,
    norm: tuple[Tensor, Tensor, Tensor, Tensor, float] | None = None,
    batch_values: int | None = None,
) -> Tensor:
    """Return the largest positive value of every window, 0 where there is none; channels last.

    Twice differentiable, the second time by torch's operations.

    Args:
        parts: maps that `is_for_kernel` takes; their channels are joined in the result.
        window: what the maximum is taken of.
        norm: weight, bias, mean, variance of every channel, and what is added to the variance; None:
            values are taken as they are.
        batch_values: where mean and variance are the batch's, and have derivatives, the number of values
            that a channel has in it.
    """
    if norm is None:
        return _Pool.apply(window, None, None, None, None, 0.0, None, *parts)
    return _Pool.apply(window, *norm, batch_values, *parts)


class _Pool(torch.autograd.Function):
    """`native_pool`; keeps the maps and a byte for each of the results."""

    @staticmethod
    def forward(
        ctx: Any,
        window: Window,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        variance: Tensor | None,
        eps: float,
        batch_values: int | None,
        *parts: Tensor,
    ) -> Tensor:
        x = parts[0]
        shape = (len(x), sum(part.shape[1] for part in parts), *map(window.outputs, x.shape[2:]))
        result = torch.empty(
            shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        scale = shift = inverse = None
        if weight is not None and bias is not None and mean is not None and variance is not None:
            inverse = (variance.double() + eps).rsqrt()
            wide = weight.double() * inverse
            scale, shift = wide.to(x.dtype), (bias.double() - mean.double() * wide).to(x.dtype)
        codes = None
        if any(ctx.needs_input_grad):
            codes = torch.empty(result.numel(), dtype=torch.uint8, device="cpu")
            ctx.save_for_backward(weight, bias, mean, variance, inverse, codes, *parts)
        ctx.window, ctx.eps, ctx.batch_values = window, eps, batch_values
        call_kernel(
            "pool_forward", x, _numbers(parts, window), list(parts), scale, shift, result, codes
        )
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, bias, mean, variance, inverse, codes, *parts = ctx.saved_tensors
        needed: tuple[bool, ...] = tuple(ctx.needs_input_grad)
        if torch.is_grad_enabled():
            return _differentiable(
                ctx, gradients[0], (weight, bias, *parts), mean, variance, needed
            )
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        numbers = _numbers(parts, ctx.window)
        of_weight = of_bias = coefficients = None
        x = parts[0]
        if weight is not None:
            sums, products = torch.empty(2, len(weight), dtype=torch.float64, device="cpu")
            call_kernel("pool_sums", x, numbers, list(parts), gradient, codes, sums, products)
            of_weight = inverse * (products - mean.double() * sums)
            of_bias = sums
            factor = weight.double() * inverse
            slope, offset = torch.zeros_like(factor), torch.zeros_like(factor)
            if ctx.batch_values is not None:
                # Of (x - mean) * inverse: what mean and variance of the batch take off.
                slope = -factor * inverse * of_weight / ctx.batch_values
                offset = -factor * of_bias / ctx.batch_values - slope * mean.double()
            coefficients = torch.stack((factor, slope, offset)).to(x.dtype)
            of_weight, of_bias = of_weight.to(weight.dtype), of_bias.to(weight.dtype)
        of_parts: list[Tensor | None] = [None] * len(parts)
        if any(needed[7:]):
            found = [
                torch.empty(
                    part.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last
                )
                for part in parts
            ]
            call_kernel(
                "pool_backward", x, numbers, list(parts), gradient, codes, coefficients, found
            )
            of_parts = list(found)
        return None, of_weight, of_bias, None, None, None, None, *of_parts


def _differentiable(
    ctx: Any,
    gradient: Tensor,
    inputs: tuple[Tensor | None, ...],
    mean: Tensor | None,
    variance: Tensor | None,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Return the gradients in operations that autograd follows."""
    weight, bias, *parts = [None if value is None else value.view_as(value) for value in inputs]
    maps = torch.cat([part for part in parts if part is not None], 1)
    window: Window = ctx.window
    if weight is not None and mean is not None and variance is not None:
        of_batch = ctx.batch_values is not None
        running = (None, None) if of_batch else (mean.to(maps.dtype), variance.to(maps.dtype))
        maps = F.batch_norm(maps, *running, weight, bias, of_batch, 0.0, ctx.eps)
    result = F.max_pool2d(F.relu(maps), window.size, window.step, window.margin)
    of_inputs = zip((weight, bias, *parts), (*needed[1:3], *needed[7:]), strict=True)
    wanted = [value for value, is_needed in of_inputs if is_needed and value is not None]
    found = iter(torch.autograd.grad(result, wanted, gradient, create_graph=True))
    of_weight, of_bias, *of_parts = (
        next(found) if is_needed else None for is_needed in (*needed[1:3], *needed[7:])
    )
    return None, of_weight, of_bias, None, None, None, None, *of_parts


def _numbers(parts: Sequence[Tensor], window: Window) -> Tensor:
    """Return what `Pooling` of kernel.cpp reads."""
    height, width = parts[0].shape[2:]
    numbers = [
        height, width, window.size, window.step, window.margin, window.outputs(height),
        window.outputs(width), len(parts),
    ]  # fmt: skip
    for part in parts:
        numbers += [part.shape[1], part.stride(0), part.stride(2), part.stride(3)]
    return torch.tensor(numbers, dtype=torch.int64, device="cpu")
