"""Take the maximum over a sliding window, then blur, only at the kept positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.bank.native.pooling import native_pool
from wavetwin.runtime.bank.native.windows import Window, is_for_kernel
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.blur import (
    BlurPool,
    adjoint_blur,
    blur_at_kept,
    blur_padded,
    fill_margins,
    reflect_margins,
)
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.maximum import sliding_max
from wavetwin.runtime.layers.pieces import (
    differentiable_gradient,
    images_at_once,
    is_channels_last,
    is_piecewise,
    is_small,
    map_images,
    to_channels_last,
)
from wavetwin.runtime.layers.plain import is_every_call_watched, is_plain
from wavetwin.runtime.layers.traced import Layer


def _pool(x: Tensor, taps: Tensor, kernel_size: int, padding: int, stride: int) -> Tensor:
    """Return the blurred maxima, channels last in memory, in two comparisons a pixel and direction."""
    pixels = to_channels_last(x).permute(0, 2, 3, 1)
    size = len(taps)
    if 2 * padding == kernel_size:
        # Even windows that begin where the map ends: nothing to start the comparisons with.
        margins = (0, 0, padding, padding, padding, padding)
        pixels, padding = F.pad(pixels, margins, value=-torch.inf), 0
    down = sliding_max(pixels, 1, kernel_size, padding)
    before, after = reflect_margins(size)
    batch, height, width, channels = down.shape
    width += 2 * padding - kernel_size + 1
    padded = down.new_empty(batch, height + before + after, width + before + after, channels)
    inner = padded[:, before : before + height, before : before + width]
    sliding_max(down, 2, kernel_size, padding, inner)
    maps = padded.permute(0, 3, 1, 2)
    fill_margins(maps, size)
    return blur_padded(maps, taps, stride)


def _pull_back(
    x: Tensor,
    gradient: Tensor,
    taps: Tensor,
    window: tuple[int, int, int],
    stride: int,
    out: Tensor | None,
) -> Tensor:
    """Return the derivative in `x`, channels last in memory, and in `out` if that is given."""
    x = to_channels_last(x)
    size, step, padding = window
    largest, indices = F.max_pool2d(x, *window, return_indices=True)
    of_largest = adjoint_blur(to_channels_last(gradient), taps, stride, *largest.shape[2:])
    arguments = (
        to_channels_last(of_largest),
        x,
        [size, size],
        [step, step],
        [padding, padding],
        [1, 1],
        False,
        indices,
    )
    backward = torch.ops.aten.max_pool2d_with_indices_backward
    if out is None:
        return backward(*arguments)
    return backward.grad_input(*arguments, grad_input=out)


class _MaxBlur(torch.autograd.Function):
    """Maximum and blur a few images at a time; keeps its input and the taps for its backward.

    No map of maxima is ever whole. Where they are is found again in the backward, since torch keeps
    eight bytes for each; where values are equal the first one has the gradient, as in torch.
    """

    @staticmethod
    def forward(x: Tensor, taps: Tensor, kernel_size: int, padding: int, stride: int) -> Tensor:
        return map_images(
            lambda part: _pool(part, taps, kernel_size, padding, stride), images_at_once(x), x
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, taps, ctx.kernel_size, ctx.padding, ctx.stride = inputs
        ctx.save_for_backward(x, taps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        x, taps = ctx.saved_tensors
        window, stride = (ctx.kernel_size, 1, ctx.padding), ctx.stride
        gradient = gradients[0].to(x.dtype)
        if torch.is_grad_enabled():
            (result,) = differentiable_gradient(
                lambda x: blur_at_kept(F.max_pool2d(x, *window), taps, stride), (x,), gradient
            )
            return result, None, None, None, None
        whole, at_once = torch.empty_like(x), images_at_once(x)
        parts = (tensor.split(at_once) for tensor in (x, gradient, whole))
        for part, of_output, of_part in zip(*parts, strict=True):
            out = of_part if is_channels_last(of_part) else None
            result = _pull_back(part, of_output, taps, window, stride, out)
            if out is None:
                of_part.copy_(result)
        return whole, None, None, None, None


class MaxBlurPool(ByKernel, Layer):
    """`torch.nn.MaxPool2d` with stride 1, then `BlurPool`: the same values and derivatives, faster.

    `(batch, channels, height, width)` to `(batch, channels, ceil(h / stride), ceil(w / stride))`,
    h being the height of the maxima, `height + 2 * padding - kernel_size + 1`, and w likewise. The
    output lies in memory as the input does, channels last or not.

    Args:
        kernel_size: height and width of the maximum's window.
        padding: its margin, at most half of the window.
        size: taps of the blur in each direction, 2 to 7.
        stride: step of the output.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, kernel_size: int = 3, padding: int = 1, size: int = 3, stride: int = 2
    ) -> None:
        super().__init__()
        if kernel_size < 1 or not 0 <= padding <= kernel_size // 2:
            raise ValueError(f"padding {padding} of a window of {kernel_size}: at most half of it")
        self.kernel_size = kernel_size
        self.padding = padding
        self.max = nn.MaxPool2d(kernel_size, 1, padding)
        self.blur = BlurPool(size, stride)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the blurred maxima at the kept positions."""
        window = Window(self.kernel_size, 1, self.padding)
        if self.native and is_for_kernel((x,), window, self.blur.size) and self._is_as_made():
            return native_pool((x,), window, blur=self.blur.for_kernel(), relu=False)
        if is_piecewise(x) and self._is_as_made() and self._pays(x):
            return _MaxBlur.apply(
                x, self.blur.taps, self.kernel_size, self.padding, self.blur.stride
            )
        return self.blur(self.max(x))

    def _is_as_made(self) -> bool:
        """Return whether maximum and blur are those of the constructor, and nobody watches them."""
        largest = self.max
        return (
            not is_every_call_watched()
            and is_plain(self.blur, BlurPool)
            and is_plain(largest, nn.MaxPool2d)
            and (largest.kernel_size, largest.padding) == (self.kernel_size, self.padding)
            and (largest.stride, largest.dilation, largest.ceil_mode) == (1, 1, False)
        )

    def _pays(self, x: Tensor) -> bool:
        """Return whether there are maxima to reflect, and large maps or such that torch is slow with.

        Torch says what is wrong with maps that are too small.
        """
        smallest = min(x.shape[-2:]) + 2 * self.padding - self.kernel_size + 1
        is_slow = not (is_channels_last(x) and is_small(x))
        return is_slow and smallest > reflect_margins(self.blur.size)[1]
