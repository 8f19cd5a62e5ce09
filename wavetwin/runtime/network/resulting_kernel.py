"""Hold the resulting kernel: its weights, its outputs and its spectrum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["ENERGY", "ResultingKernel"]

ENERGY = 0.995
"""Share of each kernel's energy that pictures show at least."""


@dataclass(frozen=True, eq=False)
class ResultingKernel:
    """The convolution that a stem amounts to, for images of one size.

    A channel is what one feature map of the twin comes from: real, or complex where a modulus
    follows. The stem gives a complex channel as two maps, its real and its imaginary part after
    each other; `convolution` has them so.
    """

    weight: Tensor
    """(channels, colours, height, width), correlated with the image; complex if any channel is.
    All channels lie in one window, the smallest that holds every kernel, in their true positions: free
    ones are surrounded by zeros."""
    bias: Tensor
    """(channels,), complex where the weight is; zeros where the stem has none."""
    stride: int
    """Step of the output, in both directions."""
    padding: tuple[int, int, int, int]
    """Zeros left, right, above and below the image, as `torch.nn.functional.pad` takes them;
    negative where rows or columns of the image are not reached. Left and top follow from the
    paddings of convolution and packets less `stride` times their crop."""
    image_size: tuple[int, int]
    """Height and width of the images."""
    output_size: tuple[int, int]
    """Height and width of the stem's output."""
    is_complex: tuple[bool, ...]
    """Per channel, whether it is complex."""
    bands: tuple[int | None, ...]
    """Per channel the band of the packet mixing, counted from 0; None for a free channel."""
    crops: Mapping[str, tuple[int, int]]
    """Per crop of the graph the rows and columns that it takes off at the top and on the left."""

    def convolution(self) -> tuple[Tensor, Tensor]:
        """Return real weights and biases whose outputs are the stem's channels, in its order.

        `conv2d(pad(images, padding), weight, bias, stride=stride)` is the stem's output.
        """
        if not self.weight.is_complex():
            return self.weight, self.bias
        rows = list(self._rows())
        weights = [self._part(self.weight, channel, part) for channel, part in rows]
        biases = [self._part(self.bias, channel, part) for channel, part in rows]
        return torch.stack(weights), torch.stack(biases)

    def energy_window(self) -> tuple[int, int, int]:
        """Return top, left and side of a square that holds nearly all energy of every channel."""
        tiny = torch.finfo(torch.float64).tiny
        energy = self.weight.detach().abs().square().sum(1).double().cpu()
        energy = energy / energy.sum((1, 2), keepdim=True).clamp_min(tiny)
        is_zero = energy.sum((1, 2)) == 0
        height, width = energy.shape[1:]
        rows = torch.arange(height, dtype=torch.float64)
        columns = torch.arange(width, dtype=torch.float64)
        mean = energy.mean(0) / energy.mean(0).sum().clamp_min(tiny)
        centre = float((mean.sum(1) * rows).sum()), float((mean.sum(0) * columns).sum())
        for side in range(1, max(height, width) + 1):
            top = min(max(0, round(centre[0] - (side - 1) / 2)), max(0, height - side))
            left = min(max(0, round(centre[1] - (side - 1) / 2)), max(0, width - side))
            inside = energy[:, top : top + side, left : left + side].sum((1, 2))
            if bool(((inside >= ENERGY) | is_zero).all()):
                return top, left, side
        return 0, 0, max(height, width)

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the stem gives for images of `image_size`."""
        weight, bias = self.convolution()
        return F.conv2d(F.pad(images, self.padding), weight, bias, stride=self.stride)

    def spectrum(self, points: int | None = None) -> Tensor:
        """Return the modulus of each kernel's Fourier transform, (channels, points, points).

        The root of the sum of squares over the colours; frequencies from -pi, zero at index
        `points // 2`. `points` is even; default: a power of two, twice the kernel or more.
        """
        points = points or self._points()
        squares = [
            torch.fft.fft2(kernel, s=(points, points)).abs().square().sum(0)
            for kernel in self.weight
        ]
        return torch.fft.fftshift(torch.stack(squares), dim=(1, 2)).sqrt()

    def centre_frequencies(self) -> Tensor:
        """Return where each spectrum is largest, (vertical, horizontal) in radians per pixel.

        Of a real kernel's two peaks the one with a positive horizontal frequency; the resolution is
        that of `spectrum`.
        """
        points = self._points()
        half = points // 2
        # Column 0 of the shifted spectrum is -pi, which is pi as well: the right half and it.
        spectrum = self.spectrum(points)
        right = torch.cat((spectrum[:, :, half:], spectrum[:, :, :1]), dim=2)
        peak = right.flatten(1).argmax(1)
        rows, columns = peak // (half + 1) - half, peak % (half + 1)
        # On the axes of a real spectrum both peaks are there: the one that goes down.
        on_axis = (columns == 0) | (columns == half)
        rows = torch.where(on_axis, rows.abs(), rows)
        return torch.stack((rows, columns), dim=1).double() * (torch.pi / half)

    def _points(self) -> int:
        return 2 ** max(6, (2 * max(self.weight.shape[-2:]) - 1).bit_length())

    def _rows(self) -> Iterator[tuple[int, str]]:
        for channel, is_complex in enumerate(self.is_complex):
            yield channel, "real"
            if is_complex:
                yield channel, "imag"

    @staticmethod
    def _part(values: Tensor, channel: int, part: str) -> Tensor:
        return values[channel].real if part == "real" else values[channel].imag
