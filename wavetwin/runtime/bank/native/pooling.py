"""Normalise, rectify, take the maximum of maps and blur it at once, by the native kernel.

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

from wavetwin.runtime.bank.native.windows import (
    EACH,
    Blur,
    Pooling,
    Window,
    empty_maps,
    with_channels_last,
)

__all__ = ["Norm", "native_blur", "native_pool"]


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
    pooling = Pooling(window, blur, relu)
    if norm is None:
        return _Pool.apply(pooling, *_NO_NORM, *parts)
    numbers = (norm.mean, norm.spread, norm.eps, norm.batch_values)
    return _Pool.apply(pooling, norm.weight, norm.bias, *numbers, *parts)


def native_blur(x: Tensor, blur: Blur) -> Tensor:
    """Return a map that `is_for_kernel` takes, blurred; channels last, differentiable as `native_pool` is."""
    return _Blur.apply(x, blur)


class _Blur(torch.autograd.Function):
    """`native_blur`; keeps nothing for its backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, blur: Blur) -> Tensor:
        pooling = Pooling(EACH, blur, relu=False)
        ctx.pooling, ctx.shape = pooling, x.shape
        result = empty_maps(x, x.shape[1], pooling.size(x))
        pooling.call("forward", [x], None, None, None, result, None)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pooling: Pooling = ctx.pooling
        if torch.is_grad_enabled():
            # Linear: the derivative is the same at every map.
            at = gradients[0].new_zeros(ctx.shape).requires_grad_()
            assert pooling.blur is not None
            output = pooling.blur.by_torch(at)
            (found,) = torch.autograd.grad(output, at, gradients, create_graph=True)
            return found, None
        gradient = with_channels_last(gradients[0])
        found = empty_maps(gradient, ctx.shape[1], ctx.shape[2:])
        pooling.call("backward", [found], gradient, gradient, None, None, [found])
        return found, None


class _Pool(torch.autograd.Function):
    """`native_pool`; keeps the maps and a byte for each of the results."""

    @staticmethod
    def forward(
        ctx: Any,
        pooling: Pooling,
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
        result = empty_maps(x, channels, pooling.size(x))
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
            inputs = (weight, bias, *parts)
            return _differentiable(ctx, gradients[0], inputs, mean, spread, needed)
        gradient = with_channels_last(gradients[0])
        pooling: Pooling = ctx.pooling
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
            found = [empty_maps(part, part.shape[1], part.shape[2:]) for part in parts]
            pooling.call("backward", parts, gradient, gradient, codes, coefficients, found)
            of_parts = list(found)
        return None, of_weight, of_bias, None, None, None, None, *of_parts


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
    pooling: Pooling = ctx.pooling
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
        result = pooling.blur.by_torch(result)
    are_needed = (*needed[1:3], *needed[7:])
    of_inputs = zip((weight, bias, *parts), are_needed, strict=True)
    wanted = [value for value, is_needed in of_inputs if is_needed and value is not None]
    found = iter(torch.autograd.grad(result, wanted, gradient, create_graph=True))
    of_weight, of_bias, *of_parts = (next(found) if each else None for each in are_needed)
    return None, of_weight, of_bias, None, None, None, None, *of_parts
