"""Write linear maps of an image as kernels: what the branches of a stem amount to before they join."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wavetwin.runtime.layers import center_crop_window

__all__ = ["Combination", "Maps", "Piece"]


@dataclass(frozen=True, eq=False)
class Piece:
    """Some channels with kernels of one size; `top` and `left` of the image meet the first taps."""

    weight: Tensor
    bias: Tensor
    top: int
    left: int
    bands: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Maps:
    """Linear maps of the image on one grid."""

    pieces: tuple[Piece, ...]
    stride: int
    height: int
    width: int

    def cropped(self, height: int, width: int) -> tuple[Maps, tuple[int, int]]:
        """Return the central window and its offset, (rows, columns)."""
        rows = center_crop_window(self.height, height)
        columns = center_crop_window(self.width, width)
        pieces = tuple(
            replace(
                piece,
                top=piece.top + self.stride * rows,
                left=piece.left + self.stride * columns,
            )
            for piece in self.pieces
        )
        return Maps(pieces, self.stride, height, width), (rows, columns)


@dataclass(frozen=True, eq=False)
class Combination:
    """Maps that are sums of a few shared kernels: (channels, colours, kernels) coefficients.

    Packets of three colours would be hundreds of millions of taps written out.
    """

    coefficients: Tensor
    kernels: Tensor
    bias: Tensor
    """Real; complex maps have it in both parts."""
    padding: int
    stride: int
    height: int
    width: int
    bands: tuple[int | None, ...]

    @property
    def is_pointwise(self) -> bool:
        """Whether each output depends on one pixel alone."""
        return self.kernels.shape[-2:] == (1, 1) and self.padding == 0

    def written_out(self) -> Maps:
        """Return the maps with every kernel of every channel written out."""
        coefficients, bias = self.coefficients, self.bias
        if self.kernels.is_complex():
            coefficients, bias = coefficients.to(self.kernels.dtype), torch.complex(bias, bias)
        weight = torch.einsum("ock,khw->ochw", coefficients, self.kernels)
        piece = Piece(weight, bias, -self.padding, -self.padding, self.bands)
        return Maps((piece,), self.stride, self.height, self.width)
