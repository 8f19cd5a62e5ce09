"""Make the banks of complex filters that the studies put before RMax and CMod.

A bank gives the real and the imaginary part of every filter's output at one stride: the packets of
the dual tree, and gratings under a Gaussian window, which theory knows everything about.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from wavetwin.runtime.bank.shapes import Complex, Float

__all__ = ["BORDER", "ComplexBank", "GratingBank"]

BORDER = 4
"""Output samples that are cut off on every side of the packets' outputs: what lies beyond the image
is not its own."""


@runtime_checkable
class ComplexBank(Protocol):
    """What a study needs of a bank; `wavetwin.runtime.layers.DualTreePackets` is one."""

    stride: int

    def parts(self, x: Tensor, /) -> tuple[Tensor, Tensor]:
        """Return both parts of (batch, 1, filters, height, width) for (batch, 1, height, width)."""
        ...


class GratingBank(nn.Module):
    """Plane waves under a Gaussian window: filters as well localised as one likes.

    The control of the study: as the window grows, the measured discrepancy of RMax and CMod tends to
    the theoretical one, whatever the image. Filtering is correlation, as everywhere
    here, with zeros around the image.

    Args:
        frequencies: (filters, 2), vertical and horizontal in radians per pixel.
        sigma: standard deviation of the window in pixels; it is cut at four of them.
        stride: step of the output in both directions.
    """

    filters: Tensor

    def __init__(self, frequencies: Float[Tensor, "filters 2"], sigma: float, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.sigma = sigma
        self.radius = math.ceil(4 * sigma)
        positions = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        window = torch.exp(-positions.square() / (2 * sigma**2))
        waves = torch.polar(window / window.sum(), frequencies.double()[..., None] * positions)
        self.register_buffer("filters", torch.view_as_real(waves), persistent=False)

    @property
    def border(self) -> int:
        """Output samples of RMax and CMod that the edge of the image reaches: 2.5 sigma."""
        return max(BORDER, math.ceil(2.5 * self.sigma / (2 * self.stride)))

    def kernels(self) -> Complex[Tensor, "filters height width"]:
        """Return the kernels, complex."""
        rows, columns = torch.view_as_complex(self.filters).unbind(1)
        return rows[:, :, None] * columns[:, None, :]

    def parts(
        self, x: Float[Tensor, "batch 1 height width"]
    ) -> tuple[
        Float[Tensor, "batch 1 filters out_height out_width"],
        Float[Tensor, "batch 1 filters out_height out_width"],
    ]:
        """Return the real and the imaginary parts."""
        filters = torch.view_as_complex(self.filters.to(x))
        vertical, horizontal = (
            self._matrix(filters[:, axis], size) for axis, size in enumerate(x.shape[-2:])
        )
        maps = vertical @ x.to(filters.dtype) @ horizontal.mT
        return maps.real.unsqueeze(1), maps.imag.unsqueeze(1)

    def _matrix(self, taps: Tensor, size: int) -> Tensor:
        """Return what filters a line of `size` samples, (filters, outputs, size), zeros around it."""
        outputs = torch.arange(0, size, self.stride, device=taps.device)
        position = torch.arange(size, device=taps.device) - outputs[:, None] + self.radius
        inside = (position >= 0) & (position < taps.shape[1])
        return taps[:, position.clamp(0, taps.shape[1] - 1)] * inside
