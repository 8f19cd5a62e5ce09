"""Write orthogonal two-channel banks as rotations: whatever the angles are, the bank is orthogonal.

A bank of 2M taps is M rotations with a delay of two samples between them (Vaidyanathan and Hoang 1988,
doi:10.1109/29.1491). Its low-pass sums to sqrt(2) and its high-pass to 0 exactly where the angles sum
to pi / 4, so that M - 1 of them are free and the last one is what is left.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir.wavelet_taps import WaveletTaps
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.wavelets.filtering import analysis_filters

__all__ = ["free_angles", "lattice_filters"]

_TOLERANCE = 1e-7
"""How far taps may be from the lattice's. Long filters with small ends lose their digits as stages are
taken off (db16 ends 2e-7 away), and dmey is orthogonal to 2e-3 only."""


def free_angles(taps: WaveletTaps) -> Float[Tensor, " angles"]:
    """Return the angles whose `lattice_filters` are an orthogonal wavelet's, float64 on the CPU.

    There are half as many as taps, less one.

    Raises:
        ValueError: the wavelet is not orthogonal, or has two taps and nothing to learn.
    """
    if not taps.is_orthogonal:
        raise ValueError("only an orthogonal wavelet is a lattice: db, sym or coif")
    if len(taps.analysis_low) == 2:
        raise ValueError(
            "two taps have no free angle: take a longer wavelet than haar, such as db2"
        )
    low = torch.tensor(taps.analysis_low, dtype=torch.float64, device="cpu")
    high = _mirror(low)
    angles: list[float] = []
    while low.shape[0] > 2:
        angle = _last_angle(low, high)
        angles.append(angle)
        cosine, sine = math.cos(angle), math.sin(angle)
        low, high = (cosine * low - sine * high)[:-2], (sine * low + cosine * high)[2:]
    found = torch.tensor(angles[::-1], dtype=torch.float64, device="cpu")
    distance = float((lattice_filters(found) - analysis_filters(taps)).abs().max())
    if distance > _TOLERANCE:
        raise ValueError(
            f"the nearest lattice is {distance:.0e} away from these taps: db2 to db15, sym2 to sym20 "
            "and coif1 to coif12 are lattices to rounding"
        )
    return found


def lattice_filters(
    angles: Float[Tensor, " angles"],
) -> Float[Tensor, "2 taps"]:
    """Return the orthogonal bank of some free angles; its low-pass has gain sqrt(2) and the other 0.

    Differentiable; computed in the type of the angles.

    Args:
        angles: M - 1 numbers in radians, without bounds, for filters of 2M taps.
    """
    first = math.pi / 4 - angles.sum()
    low = torch.stack((first.cos(), first.sin()))
    high = torch.stack((-first.sin(), first.cos()))
    for angle in angles.unbind():
        early, late = F.pad(low, (0, 2)), F.pad(high, (2, 0))
        low = angle.cos() * early + angle.sin() * late
        high = angle.cos() * late - angle.sin() * early
    return torch.stack((low, high))


def _mirror(low: Tensor) -> Tensor:
    """Return the high-pass that the lattice makes beside a low-pass: reversed, alternating signs."""
    signs = torch.ones_like(low)
    signs[0::2] = -1
    return low.flip(0) * signs


def _last_angle(low: Tensor, high: Tensor) -> float:
    """Return the angle of the last rotation, from the ends that are the largest."""
    tail = low[-2:].square().sum() + high[-2:].square().sum()
    head = low[:2].square().sum() + high[:2].square().sum()
    if tail >= head:
        at = -1 - int(high[-1].abs() + low[-1].abs() < high[-2].abs() + low[-2].abs())
        return math.atan2(float(low[at]), float(high[at]))
    at = int(high[0].abs() + low[0].abs() < high[1].abs() + low[1].abs())
    return math.atan2(-float(high[at]), float(low[at]))
