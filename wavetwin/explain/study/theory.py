"""Predict the discrepancy of RMax and CMod for a perfectly localised filter.

Behind a filter of one frequency the image is a plane wave of unknown phase. Max pooling sees it at
nine positions, nine points of the unit circle; the modulus sees the circle's radius. What is left
between them depends on nothing but the gaps between the nine (docs/studies.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wavetwin.runtime.bank.shapes import Complex, Float

__all__ = ["expected_discrepancy", "spectrum_discrepancy", "wrap"]

WINDOW = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))
"""Where the maximum looks, in samples of the convolution's output."""


def expected_discrepancy(phase_steps: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any"]:
    """Return gamma^2, the mean of |RMax - CMod|^2 / |CMod|^2 over the phase of the wave.

    With the gaps d between the neighbouring angles <step, k>, k in the 3x3 window, around the circle
    it is 3/2 + sum(sin d - 8 sin(d / 2)) / (4 pi); equal angles have a gap of 0, which adds nothing.
    It is 3/2 where the window sees one phase (both steps multiples of 2 pi) and .2268 where it sees
    two opposite ones (both multiples of pi).

    Args:
        phase_steps: (vertical, horizontal) phase from one output sample to the next in radians: the
            filter's frequency times the stride of the convolution.
    """
    window = torch.tensor(WINDOW, dtype=torch.float64, device=phase_steps.device)
    angles = torch.remainder(phase_steps.double() @ window.T, 2 * math.pi).sort(dim=-1).values
    first = angles[..., :1] + 2 * math.pi
    gaps = torch.cat((angles, first), dim=-1).diff(dim=-1)
    terms = torch.sin(gaps) - 8 * torch.sin(gaps / 2)
    return (1.5 + terms.sum(-1) / (4 * math.pi)).to(phase_steps.dtype)


def spectrum_discrepancy(
    kernels: Complex[Tensor, "filters height width"], stride: int, points: int = 256
) -> Float[Tensor, " filters"]:
    """Return gamma^2 averaged over each filter's own energy in frequency.

    Real filters are poorly localised: part of the energy behind them is at other frequencies, with
    other gaps. A kernel that is correlated with the image passes the frequencies where its Fourier
    transform is mirrored; gamma^2 is the same there.

    Args:
        kernels: the filters, one at a time in memory on the grid of frequencies.
        stride: of the convolution before the maximum.
        points: frequencies in each direction.
    """
    steps = torch.fft.fftfreq(points, dtype=torch.float64, device=kernels.device) * 2 * math.pi
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    gamma = expected_discrepancy(grid * stride)
    averages = []
    for kernel in kernels:
        energy = torch.fft.fft2(kernel, s=(points, points)).abs().square()
        averages.append((energy * gamma).sum() / energy.sum())
    return torch.stack(averages)


def wrap(angles: Tensor) -> Tensor:
    """Return angles in radians between -pi and pi."""
    return torch.remainder(angles + math.pi, 2 * math.pi) - math.pi
