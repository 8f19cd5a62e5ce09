"""Measure one kernel of a first layer: direction, sharpness, frequency, likeness to a Gabor.

All are of the luminance kernel, the answer to an image of three equal colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.explain.study.rows import Table
from wavetwin.explain.study.theory import wrap
from wavetwin.runtime.bank.shapes import Float

__all__ = ["KernelMeasures", "analytic_spectrum", "luminance", "measure_kernels", "measures_table"]

_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class KernelMeasures:
    """Numbers of one kernel; NaN for what a kernel of zeros has none of."""

    homogeneity: float
    """1 / (1 + t), t the gradients' energy over the kernel's: 1 for what hardly changes."""
    direction: float
    """In which the kernel changes most, in degrees from -90 to 90: 0 along the rows."""
    coherence: float
    """0 for gradients in all directions, 1 for gradients in one."""
    normalised_sum: float
    """|sum| over the sum of moduli: 0 for a kernel that takes the mean away, 1 for a blur."""
    mean_frequency: tuple[float, float]
    """(vertical, horizontal) centre of mass of the energy, weighted by the squared cosine to the
    direction, on the side that the direction points to; radians per pixel."""
    gabor_likeness: float
    """rho: largest share of the analytic kernel's energy in a square of side pi / m of the
    frequency plane."""
    frequency: tuple[float, float]
    """The middle of that square, the characteristic frequency."""


COLUMNS = (
    "homogeneity",
    "direction",
    "coherence",
    "normalised_sum",
    "vertical_mean_frequency_rad_per_px",
    "horizontal_mean_frequency_rad_per_px",
    "gabor_likeness",
    "vertical_frequency_rad_per_px",
    "horizontal_frequency_rad_per_px",
)


def luminance(
    weight: Float[Tensor, "channels colours height width"] | Tensor,
) -> Tensor:
    """Return the kernels' answer to grey images, (channels, height, width): the sum over colours."""
    return weight.sum(1)


def analytic_spectrum(kernels: Tensor, points: tuple[int, int]) -> Tensor:
    """Return the Fourier transforms of W = V + i H(V) for real kernels V (arXiv:2209.11740).

    Half of the plane is doubled and the other half set to zero; the half is that on the side of the
    kernel's own direction, so that no wave is cut in two. What has no side, frequency 0, stays.
    Complex kernels are transformed as they are; those without an imaginary part are real ones.

    Args:
        kernels: (channels, height, width).
        points: rows and columns of the grid of frequencies; at least the kernel's.
    """
    return torch.stack([_analytic(kernel, points) for kernel in kernels])


def measure_kernels(
    kernels: Tensor, stride: int, points: int | None = None
) -> list[KernelMeasures]:
    """Return the measures of luminance kernels, (channels, height, width), real or complex.

    Args:
        kernels: of the first layer.
        stride: m, of the first layer: the square of the Gabor likeness has a side of pi / m.
        points: frequencies in each direction; default: four times the kernel or more.
    """
    points = points or max(64, 2 ** math.ceil(math.log2(4 * max(kernels.shape[-2:]))))
    return [_measure(kernel, stride, points) for kernel in kernels.detach()]


def measures_table(name: str, caption: str, measures: Sequence[KernelMeasures]) -> Table:
    """Return a row a kernel."""
    rows = tuple(
        (
            number,
            each.homogeneity,
            each.direction,
            each.coherence,
            each.normalised_sum,
            *each.mean_frequency,
            each.gabor_likeness,
            *each.frequency,
        )
        for number, each in enumerate(measures)
    )
    return Table(name, caption, ("channel", *COLUMNS), rows)


@dataclass(frozen=True, slots=True)
class _Structure:
    """The structure tensor of a real kernel."""

    trace: float
    direction: float
    """In radians, from -pi / 2 to pi / 2."""
    coherence: float


def _analytic(kernel: Tensor, points: tuple[int, int]) -> Tensor:
    spectrum = torch.fft.fft2(kernel, s=points)
    if kernel.is_complex() and bool(kernel.imag.any()):
        return spectrum
    real = kernel.real if kernel.is_complex() else kernel
    steps = [torch.fft.fftfreq(number, dtype=real.dtype, device=real.device) for number in points]
    rows, columns = torch.meshgrid(*steps, indexing="ij")
    direction = _structure(real).direction
    # Turned a little, so that waves across the direction have a side, too.
    along = rows * math.sin(direction + 1e-6) + columns * math.cos(direction + 1e-6)
    opposite = along.flip((0, 1)).roll((1, 1), (0, 1))
    return spectrum * (1 + (along - opposite).sign())


def _measure(kernel: Tensor, stride: int, points: int) -> KernelMeasures:
    real = kernel.real if kernel.is_complex() else kernel
    if not bool(kernel.abs().any()):
        nothing = (math.nan, math.nan)
        return KernelMeasures(math.nan, math.nan, math.nan, math.nan, nothing, math.nan, nothing)
    structure = _structure(real)
    norm = float(real.square().sum())
    energy = _analytic(kernel, (points, points)).abs().square()
    share, frequency = _best_square(energy, math.pi / stride)
    return KernelMeasures(
        homogeneity=norm / (norm + structure.trace) if norm else 1.0,
        direction=math.degrees(structure.direction),
        coherence=structure.coherence,
        normalised_sum=float(kernel.sum().abs() / kernel.abs().sum()),
        mean_frequency=_mean_frequency(real, structure.direction, points),
        gabor_likeness=share,
        frequency=frequency,
    )


def _structure(kernel: Tensor) -> _Structure:
    vertical, horizontal = _gradients(kernel)
    yy, xx = float(vertical.square().sum()), float(horizontal.square().sum())
    xy = float((vertical * horizontal).sum())
    trace = xx + yy
    direction = 0.5 * math.atan2(2 * xy, xx - yy)
    return _Structure(trace, direction, math.hypot(yy - xx, 2 * xy) / trace if trace else 0.0)


def _gradients(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return Sobel's derivatives along the columns and along the rows, zeros around the kernel."""
    sobel = torch.tensor(_SOBEL, dtype=kernel.dtype, device=kernel.device) / 8
    pair = torch.stack((sobel.T, sobel)).unsqueeze(1)
    vertical, horizontal = F.conv2d(kernel[None, None], pair, padding=2)[0]
    return vertical, horizontal


def _mean_frequency(kernel: Tensor, direction: float, points: int) -> tuple[float, float]:
    energy = torch.fft.fft2(kernel, s=(points, points)).abs().square()
    steps = torch.fft.fftfreq(points, dtype=kernel.dtype, device=kernel.device) * 2 * math.pi
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    along = rows * math.sin(direction) + columns * math.cos(direction)
    radius = torch.hypot(rows, columns)
    # A real kernel's other side mirrors this one, and both would average to zero.
    cosine = torch.where(radius > 0, along / radius.clamp_min(1e-12), torch.zeros_like(radius))
    weight = energy * cosine.clamp_min(0).square()
    total = float(weight.sum())
    if total == 0:
        return 0.0, 0.0
    return float((weight * rows).sum()) / total, float((weight * columns).sum()) / total


def _best_square(energy: Tensor, side: float) -> tuple[float, tuple[float, float]]:
    """Return the largest share of the energy in a square on the torus, and the square's middle."""
    points = energy.shape[0]
    width = max(1, round(side / (2 * math.pi) * points))
    sums = energy
    for axis in (0, 1):
        around = torch.cat((sums, sums.narrow(axis, 0, width)), dim=axis).cumsum(axis)
        before = F.pad(around, (1, 0) if axis == 1 else (0, 0, 1, 0))
        sums = before.narrow(axis, width, points) - before.narrow(axis, 0, points)
    best = int(sums.argmax())
    step = 2 * math.pi / points
    first = torch.tensor(divmod(best, points), dtype=torch.float64)
    middle = wrap((first + (width - 1) / 2) * step).tolist()
    return float(sums.flatten()[best] / energy.sum()), (middle[0], middle[1])
