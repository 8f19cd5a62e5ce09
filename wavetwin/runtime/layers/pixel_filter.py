"""Filter with a kernel of its own at every kept pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.pieces import (
    differentiable_gradient,
    images_at_once,
    is_channels_last,
    is_piecewise,
    map_images,
)


def filter_pixels(
    padded: Float[Tensor, "batch channels padded_height padded_width"],
    kernels: Float[Tensor, "batch taps_of_groups out_height out_width"],
    groups: int,
    size: int,
    stride: int,
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Correlate each block of channels with its kernels, at every `stride`-th row and column.

    Args:
        padded: the map with the margins that the kernels reach into.
        kernels: map `g * size**2 + t` is the weight of tap t, row by row, for the g-th block.
        groups: blocks of channels.
        size: height and width of the kernels.
        stride: step of the output.
    """
    if is_piecewise(padded):
        return _FilterPixels.apply(padded, kernels, groups, size, stride)
    return _filter(padded, kernels, groups, size, stride)


def _windows(padded: Tensor, kernels: Tensor, size: int, stride: int) -> Iterator[Tensor]:
    """Yield for each tap the part of the map that it meets, (batch, channels, out_h, out_w)."""
    rows, columns = (stride * (length - 1) + 1 for length in kernels.shape[2:])
    for row in range(size):
        for column in range(size):
            yield padded[:, :, row : row + rows : stride, column : column + columns : stride]


def _filter(padded: Tensor, kernels: Tensor, groups: int, size: int, stride: int) -> Tensor:
    """Add one tap after the other, in operations that torch differentiates and traces."""
    per_group = padded.shape[1] // groups
    by_tap = kernels.unflatten(1, (groups, size**2))
    total: Tensor | None = None
    for tap, window in enumerate(_windows(padded, kernels, size, stride)):
        term = window.unflatten(1, (groups, per_group)) * by_tap[:, :, tap].unsqueeze(2)
        total = term if total is None else total + term
    assert total is not None
    return total.flatten(1, 2)


class _Taps:
    """One tap's weights after the other, repeated for each channel in a buffer that is reused.

    Products with broadcast weights run over a few channels at a time, an eighth as fast.
    """

    def __init__(self, kernels: Tensor, like: Tensor, groups: int, size: int) -> None:
        self.by_tap = kernels.unflatten(1, (groups, size**2))
        self.repeated = torch.empty_like(like)
        self.by_group = self.repeated.unflatten(1, (groups, like.shape[1] // groups))

    def of(self, tap: int) -> Tensor:
        """Return the weights (batch, channels, out_height, out_width), until the next call."""
        self.by_group.copy_(self.by_tap[:, :, tap].unsqueeze(2))
        return self.repeated


class _FilterPixels(torch.autograd.Function):
    """`_filter` in place, a few images at a time; keeps its inputs for its backward.

    Differentiated by torch, each of the overlapping windows would have a gradient of the map's full
    size, and each term would be kept.
    """

    @staticmethod
    def forward(padded: Tensor, kernels: Tensor, groups: int, size: int, stride: int) -> Tensor:
        def correlate(part: Tensor, weights: Tensor) -> Tensor:
            result = _empty_output(part, weights)
            taps = _Taps(weights, result, groups, size)
            for tap, window in enumerate(_windows(part, weights, size, stride)):
                if tap == 0:
                    torch.mul(window, taps.of(tap), out=result)
                else:
                    result.addcmul_(window, taps.of(tap))
            return result

        return map_images(correlate, images_at_once(padded), padded, kernels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        padded, kernels, *ctx.sizes = inputs
        ctx.save_for_backward(padded, kernels)

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        padded, kernels = ctx.saved_tensors
        groups, size, stride = ctx.sizes
        if torch.is_grad_enabled():
            of_map, of_kernels = differentiable_gradient(
                lambda image, weights: _filter(image, weights, groups, size, stride),
                (padded, kernels),
                gradients[0],
            )
            return of_map, of_kernels, None, None, None
        of_map = torch.zeros_like(padded) if ctx.needs_input_grad[0] else None
        of_kernels = torch.empty_like(kernels) if ctx.needs_input_grad[1] else None
        at_once = images_at_once(padded)
        for start in range(0, len(padded), at_once):
            images = slice(start, start + at_once)
            weights = kernels[images]
            gradient = _empty_output(padded[images], weights).copy_(gradients[0][images])
            if of_map is not None:
                taps = _Taps(weights, gradient, groups, size)
                for tap, window in enumerate(_windows(of_map[images], weights, size, stride)):
                    window.addcmul_(gradient, taps.of(tap))
            if of_kernels is not None:
                by_tap = of_kernels[images].unflatten(1, (groups, size**2))
                product = torch.empty_like(gradient)
                by_group = product.unflatten(1, (groups, product.shape[1] // groups))
                for tap, window in enumerate(_windows(padded[images], weights, size, stride)):
                    torch.mul(window, gradient, out=product)
                    torch.sum(by_group, 2, out=by_tap[:, :, tap])
        return of_map, of_kernels, None, None, None


def _empty_output(padded: Tensor, kernels: Tensor) -> Tensor:
    """Return memory for the filtered map, its channels last where the map's are."""
    layout = torch.channels_last if is_channels_last(padded) else torch.contiguous_format
    shape = (len(padded), padded.shape[1], *kernels.shape[2:])
    return torch.empty(shape, dtype=padded.dtype, device=padded.device, memory_format=layout)
