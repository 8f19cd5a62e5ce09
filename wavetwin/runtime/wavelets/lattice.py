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

from wavetwin.ir import lattice
from wavetwin.ir.wavelet_taps import WaveletTaps
from wavetwin.runtime.bank.shapes import Float

__all__ = ["free_angles", "lattice_filters"]


def free_angles(taps: WaveletTaps) -> Float[Tensor, " angles"]:
    """Return the angles whose `lattice_filters` are an orthogonal wavelet's, float64 on the CPU.

    There are half as many as taps, less one.

    Raises:
        ValueError: the wavelet is not orthogonal, or has two taps and nothing to learn.
    """
    return torch.tensor(lattice.free_angles(taps), dtype=torch.float64, device="cpu")


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
