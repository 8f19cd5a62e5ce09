"""Measure where the packets of the dual tree lie in the frequency plane, on their filters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.explain.study.theory import wrap
from wavetwin.runtime.bank.filters import packet_kernels
from wavetwin.runtime.bank.shapes import Complex, Float

__all__ = ["PacketPosition", "centroids", "packet_positions"]

_POINTS = 256
"""Frequencies in each direction that energies are measured on."""


@dataclass(frozen=True, slots=True)
class PacketPosition:
    """One packet; frequencies are (vertical, horizontal) in radians per pixel."""

    number: int
    band: int
    """Dyadic band: 1 leaves the low-pass at the last stage; 0 for the low-pass packets."""
    cell: tuple[int, int]
    """(vertical, horizontal), cells of pi / 2**levels counted from frequency 0; -1 is the first on
    the negative side."""
    centre: tuple[float, float]
    """Of the cell."""
    centroid: tuple[float, float]
    """Of the filter's energy, on the circle of frequencies."""

    @property
    def orientation(self) -> float:
        """Direction of the wave vector at the cell's centre in degrees, from -90 to 90.

        0 for waves that run along the rows; positive where the phase grows down and to the right.
        """
        return math.degrees(math.atan2(*self.centre))

    def phase_class(self, stride: int) -> tuple[int, int]:
        """Return the phase steps at a stride in units of pi / 4, without sign, the smaller first.

        Cells of the packets whose last stage is not decimated have (1, 1), (1, 3) or (3, 3) there.
        """
        steps = (abs(float(wrap(torch.tensor(stride * part)))) for part in self.centre)
        low, high = sorted(round(step / (math.pi / 4)) for step in steps)
        return low, high


def packet_positions(levels: int, filters: str) -> tuple[PacketPosition, ...]:
    """Return the position of every dual-tree packet, in packet order."""
    size = math.pi / 2**levels
    measured = centroids(packet_kernels(levels, filters))
    return tuple(
        PacketPosition(
            number=number,
            band=_band(number % 4**levels, levels),
            cell=cell,
            centre=((cell[0] + 0.5) * size, (cell[1] + 0.5) * size),
            centroid=(vertical, horizontal),
        )
        for number, (vertical, horizontal) in enumerate(measured.tolist())
        for cell in ((math.floor(vertical / size), math.floor(horizontal / size)),)
    )


def centroids(kernels: Complex[Tensor, "filters height width"]) -> Float[Tensor, "filters 2"]:
    """Return the centroid of each filter's energy on the torus of frequencies, radians per pixel.

    The frequency f of the circular mean: the argument of the sum of energy times exp(i f), in each
    direction by itself.
    """
    steps = torch.fft.fftfreq(_POINTS, dtype=torch.float64, device=kernels.device) * 2 * math.pi
    circle = torch.polar(torch.ones_like(steps), steps)
    means = []
    for energy in _energies(kernels):
        means.append(torch.stack([(energy.sum(axis) * circle).sum().angle() for axis in (1, 0)]))
    return torch.stack(means)


def _energies(kernels: Tensor) -> Iterator[Tensor]:
    for kernel in kernels:
        yield torch.fft.fft2(kernel, s=(_POINTS, _POINTS)).abs().square()


def _band(index: int, levels: int) -> int:
    """Return the band from a number's base-4 digits, the first stage's first."""
    for stage in range(levels):
        if index >> 2 * (levels - 1 - stage) & 3:
            return levels - stage
    return 0
