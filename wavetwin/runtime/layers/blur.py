"""Blur before subsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import plain_shape
from wavetwin.runtime.bank.native.pooling import native_blur
from wavetwin.runtime.bank.native.windows import EACH, Blur, is_for_kernel
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.pieces import (
    differentiable_gradient,
    images_at_once,
    is_channels_last,
    is_piecewise,
    is_small,
    map_images,
    to_channels_last,
)


def reflect_margins(size: int) -> tuple[int, int]:
    """Return the margins before and after a map whose size a filter of `size` taps is to keep."""
    return (size - 1) // 2, size // 2


def pad_by_reflection(
    x: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels padded_height padded_width"]:
    """Pad for a filter of `size` taps; the map must be larger than the margins."""
    before, after = reflect_margins(size)
    return F.pad(x, (before, after, before, after), mode="reflect")


def fill_margins(padded: Tensor, size: int) -> None:
    """Reflect the map in the middle of (batch, channels, padded_height, padded_width) into the rest."""
    before, after = reflect_margins(size)
    for dim in (2, 3):
        last = padded.shape[dim] - after - 1
        for k in range(1, before + 1):
            padded.select(dim, before - k).copy_(padded.select(dim, before + k))
        for k in range(1, after + 1):
            padded.select(dim, last + k).copy_(padded.select(dim, last - k))


def fold_margins(
    padded: Float[Tensor, "batch channels padded_height padded_width"], size: int
) -> Float[Tensor, "batch channels height width"]:
    """Return the adjoint of `pad_by_reflection`: each margin is added where it was copied from.

    `padded` is overwritten and a view of it returned.
    """
    before, after = reflect_margins(size)
    for dim in (2, 3):
        inner = padded.shape[dim] - before - after
        for k in range(1, before + 1):
            padded.select(dim, before + k).add_(padded.select(dim, before - k))
        last = before + inner - 1
        for k in range(1, after + 1):
            padded.select(dim, last - k).add_(padded.select(dim, last + k))
        padded = padded.narrow(dim, before, inner)
    return padded


def blur_at_kept(
    x: Float[Tensor, "batch channels height width"], taps: Tensor, stride: int
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Filter each channel with `taps` in both directions, at every `stride`-th row and column."""
    return blur_padded(pad_by_reflection(x, plain_shape(taps)[0]), taps, stride)


def blur_padded(
    padded: Float[Tensor, "batch channels padded_height padded_width"], taps: Tensor, stride: int
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Filter a map that has its margins."""
    channels = padded.shape[1]
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1).to(padded.dtype)
    return F.conv2d(padded, kernel, stride=stride, groups=channels)


def adjoint_blur(
    gradient: Float[Tensor, "batch channels out_height out_width"],
    taps: Tensor,
    stride: int,
    height: int,
    width: int,
) -> Float[Tensor, "batch channels height width"]:
    """Return the adjoint of `blur_at_kept` on maps of `height` by `width`."""
    channels, size = gradient.shape[1], len(taps)
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1).to(gradient.dtype)
    # Rows and columns that no kept position reaches, at the end.
    rest = [
        length - 1 - (kept - 1) * stride
        for length, kept in zip((height, width), gradient.shape[2:], strict=True)
    ]
    spread = F.conv_transpose2d(
        gradient, kernel, stride=stride, output_padding=rest, groups=channels
    )
    return fold_margins(spread, size)


def _binomial(size: int) -> list[float]:
    return [math.comb(size - 1, k) / 2 ** (size - 1) for k in range(size)]


@dataclass(frozen=True)
class _Reflected:
    """A side of a map, reflected at its borders, filtered by binomial taps at every `stride`-th sample."""

    size: int
    stride: int

    def __call__(self, length: int) -> Tensor:
        """Return what the kept samples are sums of, (kept, length)."""
        at = torch.arange(0, length, self.stride)
        kept = torch.arange(len(at))
        matrix = torch.zeros(len(at), length, dtype=torch.float64)
        for shift, tap in enumerate(_binomial(self.size), -reflect_margins(self.size)[0]):
            source = (at + shift).abs()
            source = torch.minimum(source, 2 * (length - 1) - source)
            matrix[kept, source] += tap
        return matrix


class _Blur(torch.autograd.Function):
    """`blur_at_kept`, a few images at a time; keeps nothing but the taps for its backward."""

    @staticmethod
    def forward(x: Tensor, taps: Tensor, stride: int) -> Tensor:
        return map_images(lambda part: blur_at_kept(part, taps, stride), images_at_once(x), x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, taps, ctx.stride = inputs
        ctx.save_for_backward(taps)
        ctx.shape, ctx.dtype, ctx.is_last = x.shape, x.dtype, is_channels_last(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (gradient,) = gradients
        (taps,) = ctx.saved_tensors
        gradient = gradient.to(ctx.dtype)
        if torch.is_grad_enabled():
            # Linear: the derivative is the same at every map.
            at = gradient.new_zeros(ctx.shape).requires_grad_()
            (result,) = differentiable_gradient(
                lambda x: blur_at_kept(x, taps, ctx.stride), (at,), gradient
            )
            return result, None, None
        gradient = to_channels_last(gradient) if ctx.is_last else gradient.contiguous()
        whole = map_images(
            lambda part: adjoint_blur(part, taps, ctx.stride, *ctx.shape[2:]),
            max(1, images_at_once(gradient) // ctx.stride**2),
            gradient,
        )
        return whole, None, None


class BlurPool(ByKernel, ConstantBuffers):
    """Binomial filter on each channel, reflected borders, then every `stride`-th row and column.

    `(batch, channels, height, width)` to
    `(batch, channels, ceil(height / stride), ceil(width / stride))`.

    Source: Zhang 2019, arXiv:1904.11486.

    Args:
        size: taps of the filter in each direction, 2 to 7.
        stride: step of the output.

    Raises:
        ValueError: `size` is out of range.
    """

    taps: Tensor

    def __init__(self, size: int = 3, stride: int = 2) -> None:
        super().__init__()
        if not 2 <= size <= 7:
            raise ValueError(f"blur size {size}: 2 to 7 are supported")
        self.size = size
        self.stride = stride
        row = torch.tensor(_binomial(size), dtype=torch.float64, device="cpu")
        self.register_constant("taps", row)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the blurred maps at the kept positions, computed there only."""
        if self.native and is_for_kernel((x,), EACH, self.size):
            return native_blur(x, self.for_kernel())
        # Torch says what is wrong with maps that are smaller than their margins.
        if (
            is_piecewise(x)
            and not is_small(x)
            and min(x.shape[-2:]) > reflect_margins(self.size)[1]
        ):
            return _Blur.apply(x, self.taps, self.stride)
        return blur_at_kept(x, self.taps, self.stride)

    def for_kernel(self) -> Blur:
        """Return what the kernel computes."""
        side = _Reflected(self.size, self.stride)
        return Blur(side, side)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"size={self.size}, stride={self.stride}"
