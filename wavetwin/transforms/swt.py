"""Transform images by undecimated (stationary) wavelets, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavetwin.ir.wavelet_taps import WaveletTaps
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets.filtering import (
    analyse_undecimated,
    analysis_filters,
    synthesis_filters,
    synthesise_undecimated,
)
from wavetwin.transforms.dwt import WaveletBank, WaveletCoefficients


class SWT2d(WaveletBank):
    """Undecimated wavelet transform of each channel: every band at every pixel; maps are periodic.

    Real `(batch, channels, height, width)` to `WaveletCoefficients` of the same height and width: a
    shift of the map is a shift of every band. Equal to `pywt.swt2`, which refuses sizes that
    `2**levels` does not divide; here every size will do.

    Source: Nason and Silverman 1995, doi:10.1007/978-1-4612-2544-7_17.

    Args:
        wavelet: a discrete wavelet's name in PyWavelets, or taps of one's own.
        levels: 1 or more.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, wavelet: str | WaveletTaps = "haar", levels: int = 1) -> None:
        super().__init__(wavelet, levels)
        self.register_constant("filters", analysis_filters(self._taps()))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> WaveletCoefficients:
        """Return the approximation and the details, finest first."""
        low, *details = rounded_once(self._analyse, x)
        return WaveletCoefficients(keep_layout(x, low), tuple(details))

    def _analyse(self, x: Tensor) -> tuple[Tensor, ...]:
        details: list[Tensor] = []
        for level in range(self.levels):
            bands = analyse_undecimated(x, self.filters, 2**level)
            x, detail = bands[:, :, 0], bands[:, :, 1:]
            details.append(detail)
        return (x, *details)

    def inverse(self) -> ISWT2d:
        """Return the transform back, a module of its own, in this one's type and on its device."""
        return ISWT2d(self.wavelet, self.levels).to(self.filters)


class ISWT2d(WaveletBank):
    """Inverse of `SWT2d` with the same arguments, exact for every size; equal to `pywt.iswt2`.

    Of coefficients that no map has, it gives the mean of what their samples reconstruct.
    """

    def __init__(self, wavelet: str | WaveletTaps = "haar", levels: int = 1) -> None:
        super().__init__(wavelet, levels)
        self.register_constant("filters", synthesis_filters(self._taps()))

    def forward(
        self, coefficients: tuple[Tensor, Sequence[Tensor]]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the maps.

        Raises:
            ValueError: there are not as many details as levels.
        """
        low, details = coefficients
        if len(details) != self.levels:
            raise ValueError(f"{len(details)} details for {self.levels} levels")
        return keep_layout(low, rounded_once(self._synthesise, low, *details))

    def _synthesise(self, x: Tensor, *details: Tensor) -> Tensor:
        for level in reversed(range(self.levels)):
            bands = torch.cat((x.unsqueeze(2), details[level]), 2)
            x = synthesise_undecimated(bands, self.filters, 2**level)
        return x
