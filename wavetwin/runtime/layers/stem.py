"""Join free and wavelet channels: crops, slices and concatenation."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.eager import is_eager, plain_shape
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.parts import Maps, Parts, map_parts
from wavetwin.runtime.layers.traced import Layer


def center_crop_window(size: int, target: int) -> int:
    """Return the first row or column of a central window, (size - target) / 2 rounded half to even."""
    difference = size - target
    return difference // 2 + difference % 4 // 3


def crop_about_centre(x: Maps, *others: tuple[int, int]) -> Maps:
    """Return the central window of maps that has the smallest of their and the given sizes.

    Args:
        x: maps (..., height, width).
        others: heights and widths.
    """
    height, width = _size(x)
    if is_eager() and all(other[0] >= height and other[1] >= width for other in others):
        return x
    low_height, low_width = height, width
    for other_height, other_width in others:
        low_height = _smaller(low_height, other_height)
        low_width = _smaller(low_width, other_width)
    top, left = center_crop_window(height, low_height), center_crop_window(width, low_width)
    below, right = top + low_height - height, left + low_width - width

    def window(part: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            # A slice would tie the program to whether the example's sizes are equal.
            return F.pad(part, (-left, right, -top, below))
        if part.requires_grad and is_eager():
            return _Window.apply(part, top, left, low_height, low_width)
        return part[..., top : top + low_height, left : left + low_width]

    return map_parts(window, x)


class _Window(torch.autograd.Function):
    """A slice of rows and columns whose gradient lies in memory as the window's does.

    A slice's own is contiguous: channels-last maps would be copied to the other layout and back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        ctx.pads = left, x.shape[-1] - left - width, top, x.shape[-2] - top - height
        return x[..., top : top + height, left : left + width]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return F.pad(gradients[0], ctx.pads), None, None, None, None


class CenterCrop(Layer):
    """Crops its first input to the smallest height and width of all its inputs, about the centre.

    Offsets are half the difference, rounded half to even as torchvision's center_crop does.
    """

    def forward(self, x: Maps, *others: Tensor | Parts) -> Maps:
        """Return the window of `x`; the last two axes of every input are height and width."""
        return crop_about_centre(x, *(_size(other) for other in others))


class CenterCropConcat(Layer):
    """Crops all inputs to the smallest height and width, about the centre, and joins the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.crop = CenterCrop()

    def forward(
        self, *inputs: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the inputs' windows after each other, along the channels."""
        return torch.cat([self.crop(x, *inputs) for x in inputs], dim=1)


class SliceChannels(Layer):
    """Channels `start` to `stop - 1`; real, complex or a pair."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Maps) -> Maps:
        """Return (batch, stop - start, height, width)."""
        return map_parts(lambda part: part[:, self.start : self.stop], x)

    def extra_repr(self) -> str:
        """Return the range."""
        return f"{self.start}, {self.stop}"


class Concat(Layer):
    """Inputs after each other, along the channels; all have one height and width."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the joined maps."""
        return torch.cat(inputs, dim=1)


class Add(Layer):
    """The sum of two inputs of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return x + y."""
        return x + y


def _size(x: Tensor | Parts) -> tuple[int, int]:
    """Return height and width."""
    height, width = plain_shape(x[0] if isinstance(x, tuple) else x)[-2:]
    return height, width


def _smaller(first: int, second: int) -> int:
    """Return the minimum; under torch.export's symbolic sizes without a prediction which one it is."""
    return cast("int", torch.sym_min(first, second))
