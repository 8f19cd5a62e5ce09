"""Transform images by discrete wavelets, and back, in PyWavelets' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wavetwin.ir.wavelet_taps import WaveletTaps, wavelet_taps
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets.extension import check_mode
from wavetwin.runtime.wavelets.filtering import (
    analyse,
    analysis_filters,
    crop,
    synthesis_filters,
    synthesise,
)


class WaveletCoefficients(NamedTuple):
    """What a real wavelet transform makes of maps."""

    low: Tensor
    """(batch, channels, height, width): the approximation of the last level."""
    details: tuple[Tensor, ...]
    """A level each, the finest first: (batch, channels, 3, height, width), horizontal, vertical and
    diagonal detail (PyWavelets' cH, cV, cD)."""


class WaveletBank(ConstantBuffers):
    """What transforms by a discrete wavelet share, in both directions: filters and levels."""

    filters: Tensor

    def __init__(self, wavelet: str | WaveletTaps, levels: int) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"{levels} levels: 1 or more are needed")
        self.levels = levels
        self.wavelet = wavelet

    def _taps(self) -> WaveletTaps:
        return wavelet_taps(self.wavelet) if isinstance(self.wavelet, str) else self.wavelet

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        name = self.wavelet if isinstance(self.wavelet, str) else "given taps"
        return f"{name}, levels={self.levels}"


class _DecimatedBank(WaveletBank):
    """What both directions share beside it: the boundary mode."""

    def __init__(self, wavelet: str | WaveletTaps, levels: int, mode: str) -> None:
        super().__init__(wavelet, levels)
        check_mode(mode)
        self.mode = mode

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return f"{super().extra_repr()}, mode={self.mode!r}"


class DWT2d(_DecimatedBank):
    """Discrete wavelet transform of each channel, any size down to 1x1.

    Real `(batch, channels, height, width)` to `WaveletCoefficients`, whose bands have
    `(n + taps - 1) // 2` samples of n (`periodization`: `ceil(n / 2)`), level by level. Equal to
    `pywt.wavedec2`; gradients are those of these very operations.

    Source: Mallat 1989, doi:10.1109/34.192463.

    Args:
        wavelet: a discrete wavelet's name in PyWavelets, or taps of one's own.
        levels: how often the approximation is split, 1 or more.
        mode: a name of `wavetwin.ir.wavelets.BOUNDARY_MODES`.

    Raises:
        ValueError: an argument is out of range, or a map of one sample is to be reflected.
    """

    def __init__(
        self, wavelet: str | WaveletTaps = "haar", levels: int = 1, mode: str = "symmetric"
    ) -> None:
        super().__init__(wavelet, levels, mode)
        self.register_constant("filters", analysis_filters(self._taps()))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> WaveletCoefficients:
        """Return the approximation and the details, finest first."""
        low, *details = rounded_once(self._analyse, x)
        return WaveletCoefficients(keep_layout(x, low), tuple(details))

    def _analyse(self, x: Tensor) -> tuple[Tensor, ...]:
        details: list[Tensor] = []
        for _ in range(self.levels):
            bands = analyse(x, self.filters, self.mode)
            x, detail = bands[:, :, 0], bands[:, :, 1:]
            details.append(detail)
        return (x, *details)

    def inverse(self) -> IDWT2d:
        """Return the transform back, a module of its own, in this one's type and on its device."""
        return IDWT2d(self.wavelet, self.levels, self.mode).to(self.filters)


class IDWT2d(_DecimatedBank):
    """Inverse of `DWT2d` with the same arguments; exact for every size and mode.

    `(low, details)` to real `(batch, channels, height, width)`. An odd size is not known from the
    coefficients: without `size` the map has an even number of lines, the last of them made up.
    """

    def __init__(
        self, wavelet: str | WaveletTaps = "haar", levels: int = 1, mode: str = "symmetric"
    ) -> None:
        super().__init__(wavelet, levels, mode)
        self.register_constant("filters", synthesis_filters(self._taps()))

    def forward(
        self,
        coefficients: tuple[Tensor, Sequence[Tensor]],
        size: tuple[int, int] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the maps.

        Args:
            coefficients: as `DWT2d` gives them.
            size: height and width of the maps, where they are odd.

        Raises:
            ValueError: there are not as many details as levels.
        """
        low, details = coefficients
        if len(details) != self.levels:
            raise ValueError(f"{len(details)} details for {self.levels} levels")
        maps = keep_layout(low, rounded_once(self._synthesise, low, *details))
        return maps if size is None else crop(maps, *size)

    def _synthesise(self, x: Tensor, *details: Tensor) -> Tensor:
        for detail in reversed(details):
            low = crop(x, detail.shape[3], detail.shape[4]).unsqueeze(2)
            x = synthesise(torch.cat((low, detail), 2), self.filters, self.mode)
        return x
