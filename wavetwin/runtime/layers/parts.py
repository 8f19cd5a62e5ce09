"""Hold complex maps as two real tensors.

Complex tensors do not exist in bfloat16 and are slow under torch's compiler, so that the layers pass
`(real, imaginary)` pairs to each other. Linear layers take a real tensor, a complex tensor or such a
pair, and give back the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.traced import Layer

Parts = tuple[Tensor, Tensor]
"""Real and imaginary part, of one shape."""

Maps = TypeVar("Maps", Tensor, Parts)


def map_parts(function: Callable[[Tensor], Tensor], x: Maps) -> Maps:
    """Apply a real function to a real tensor, or to both parts of a complex tensor or a pair."""
    if isinstance(x, tuple):
        return function(x[0]), function(x[1])
    if x.is_complex():
        return join_parts(function(x.real), function(x.imag))
    return function(x)


def join_parts(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return a complex tensor; of bfloat16 parts, which have none, one in complex64."""
    if real.dtype == torch.bfloat16:
        real, imaginary = real.float(), imaginary.float()
    return torch.complex(real, imaginary)


def split_parts(x: Tensor | Parts) -> Parts:
    """Return the real and the imaginary part of a pair or a complex tensor."""
    return x if isinstance(x, tuple) else (x.real, x.imag)


class RealPart(Layer):
    """The real part of a complex tensor or a pair; a real tensor is passed through."""

    def forward(self, x: Tensor | Parts) -> Tensor:
        """Return the real part, of the input's shape."""
        if isinstance(x, tuple):
            return x[0]
        return x.real if x.is_complex() else x


class Interleave(Layer):
    """Complex channels to twice as many real ones: Re 0, Im 0, Re 1, Im 1, ..."""

    def forward(self, x: Tensor | Parts) -> Float[Tensor, "batch twice_channels height width"]:
        """Take a complex tensor or a pair, (batch, channels, height, width)."""
        return torch.stack(split_parts(x), dim=2).flatten(1, 2)


class Deinterleave(Layer):
    """The inverse of `Interleave`; gives a pair."""

    def forward(self, x: Float[Tensor, "batch twice_channels height width"]) -> Parts:
        """Return the real and the imaginary part, (batch, channels, height, width) each."""
        return x[:, 0::2], x[:, 1::2]
