"""Transform images by the dual-tree complex wavelets, and back, in the dtcwt package's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.parts import Parts, join_parts, split_parts
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets import dual_tree
from wavetwin.runtime.wavelets.filtering import crop

MAX_LEVELS = 6


class DualTreeCoefficients(NamedTuple):
    """What the dual-tree transform makes of maps."""

    low: Tensor
    """(batch, channels, height, width): the trees' low-pass bands, interleaved, of the last level."""
    bands: tuple[Tensor, ...]
    """A level each, the finest first: complex (batch, channels, 6, height, width), stripes at 15, 45,
    75, 105, 135, 165 degrees."""


class DualTreeParts(NamedTuple):
    """`DualTreeCoefficients` with real and imaginary parts apart, which bfloat16 needs."""

    low: Tensor
    bands: tuple[Parts, ...]


class _DualTree(ConstantBuffers):
    """What both directions share: filters and levels."""

    first: Tensor
    later: Tensor

    def __init__(self, levels: int, level1: str, qshift: str) -> None:
        super().__init__()
        if not 1 <= levels <= MAX_LEVELS:
            raise ValueError(f"{levels} levels: 1 to {MAX_LEVELS} are supported")
        self.levels = levels
        self.level1 = level1
        self.qshift = qshift
        self.register_constant("later", dual_tree.qshift_filters(qshift))

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return f"levels={self.levels}, level1={self.level1!r}, qshift={self.qshift!r}"


class DTCWT2d(_DualTree):
    """Dual-tree complex wavelet transform of each channel, any size down to 1x1.

    Real `(batch, channels, height, width)` to `DualTreeCoefficients`: at level l six complex bands of
    about height / 2**l by width / 2**l, approximately analytic, so that their modulus hardly changes
    when the map moves by a pixel. An odd map repeats its last line; a low band that 4 does not divide
    repeats its first and its last one. Equal to the dtcwt package.

    Sources: Kingsbury 2001, doi:10.1006/acha.2000.0343, and 2003 for the q-shift filters.

    Args:
        levels: 1 to 6.
        level1: filters of the first level, a name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`.
        qshift: filters of the later levels, a name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, levels: int = 3, level1: str = "near_sym_a", qshift: str = "qshift_a"
    ) -> None:
        super().__init__(levels, level1, qshift)
        self.register_constant("first", dual_tree.level1_filters(level1)[0])

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> DualTreeCoefficients:
        """Return the low band and the complex bands, finest first."""
        low, bands = self.parts(x)
        return DualTreeCoefficients(low, tuple(join_parts(*parts) for parts in bands))

    def parts(self, x: Float[Tensor, "batch channels height width"]) -> DualTreeParts:
        """Return the same with real and imaginary part apart; also in bfloat16."""
        low, *parts = rounded_once(self._analyse, x)
        bands = tuple(zip(parts[0::2], parts[1::2], strict=True))
        return DualTreeParts(keep_layout(x, low), bands)

    def _analyse(self, x: Tensor) -> tuple[Tensor, ...]:
        height, width = x.shape[2:]
        split = dual_tree.analyse_level1(dual_tree.make_even(x), self.first)
        parts = [*dual_tree.quads_to_parts(split[:, :, 1:])]
        for level in range(1, self.levels):
            low = dual_tree.make_divisible_by_four(split[:, :, 0], height, width, level)
            split = dual_tree.analyse_level(low, self.later)
            parts += dual_tree.quads_to_parts(split[:, :, 1:])
        return (split[:, :, 0], *parts)

    def inverse(self) -> IDTCWT2d:
        """Return the transform back, a module of its own, in this one's type and on its device."""
        return IDTCWT2d(self.levels, self.level1, self.qshift).to(self.first)


class IDTCWT2d(_DualTree):
    """Inverse of `DTCWT2d` with the same arguments, exact for every size.

    `(low, bands)`, the bands complex or pairs of parts, to real `(batch, channels, height, width)`.
    An odd size is not known from the coefficients: without `size` the map has an even number of lines.
    """

    def __init__(
        self, levels: int = 3, level1: str = "near_sym_a", qshift: str = "qshift_a"
    ) -> None:
        super().__init__(levels, level1, qshift)
        self.register_constant("first", dual_tree.level1_filters(level1)[1])

    def forward(
        self,
        coefficients: tuple[Tensor, Sequence[Tensor | Parts]],
        size: tuple[int, int] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the maps.

        Args:
            coefficients: as `DTCWT2d` gives them.
            size: height and width of the maps, where they are odd.

        Raises:
            ValueError: there are not as many bands as levels.
        """
        low, bands = coefficients
        if len(bands) != self.levels:
            raise ValueError(f"bands of {len(bands)} levels for {self.levels} levels")
        parts = [part for band in bands for part in split_parts(band)]
        maps = keep_layout(low, rounded_once(self._synthesise, low, *parts))
        return maps if size is None else crop(maps, *size)

    def _synthesise(self, low: Tensor, *parts: Tensor) -> Tensor:
        for level in reversed(range(self.levels)):
            details = dual_tree.parts_to_quads(parts[2 * level], parts[2 * level + 1])
            height, width = details.shape[3:]
            # What was repeated on both sides of a low band that 4 does not divide.
            low = crop(
                low, height, width, (low.shape[2] - height) // 2, (low.shape[3] - width) // 2
            )
            split = torch.cat((low.unsqueeze(2), details), 2)
            if level:
                low = dual_tree.synthesise_level(split, self.later)
            else:
                low = dual_tree.synthesise_level1(split, self.first)
        return low
