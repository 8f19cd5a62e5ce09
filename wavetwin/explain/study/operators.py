"""Compute RMax, CMod and plain subsampling of one bank, on one grid (arXiv:2209.11740).

With m the stride of the convolution, all three have a sample every 2m pixels: the maximum of the
real part over the 3x3 samples around it, the modulus there, the real part there. The windows are
centred on the samples that the modulus keeps; AlexNet's own pooling, without a margin, is one sample
off, and would add that shift to every figure.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.explain.study.banks import BORDER, ComplexBank
from wavetwin.runtime.bank.shapes import Float

__all__ = ["Outputs", "apply_operators", "squared_norm"]


class Outputs(NamedTuple):
    """What the operators give, each (batch, filters, height, width), without the border."""

    rmax: Tensor
    """Maximum of the real part over 3x3 samples, every second kept."""
    cmod: Tensor
    """Modulus of every second sample."""
    plain: Tensor
    """Real part of every second sample: a convolution of twice the stride."""


def apply_operators(
    bank: ComplexBank, images: Float[Tensor, "batch height width"], border: int = BORDER
) -> Outputs:
    """Return the three operators' outputs of every filter of a bank, `border` samples cut off."""
    real, imaginary = (part.squeeze(1) for part in bank.parts(images.unsqueeze(1)))
    every_second = real[..., ::2, ::2], imaginary[..., ::2, ::2]
    maximum = F.max_pool2d(real, kernel_size=3, stride=2, padding=1)
    modulus = torch.hypot(*every_second)
    inside = slice(border, -border)
    return Outputs(
        maximum[..., inside, inside],
        modulus[..., inside, inside],
        every_second[0][..., inside, inside],
    )


def squared_norm(maps: Float[Tensor, "*any height width"]) -> Float[Tensor, "*any"]:
    """Return the sum of squares over the positions."""
    return maps.square().sum((-2, -1))
