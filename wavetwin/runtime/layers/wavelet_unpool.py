"""Undo a wavelet pooling that kept all bands."""

from __future__ import annotations

from torch import Tensor

from wavetwin.ir.wavelet_taps import WaveletTaps, wavelet_taps
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets.extension import check_mode
from wavetwin.runtime.wavelets.filtering import (
    analysis_filters,
    band_gains,
    crop,
    synthesis_filters,
    synthesise,
)


class WaveletUnpool2d(ConstantBuffers):
    """Joins the four bands of each channel that `WaveletPool2d(bands="all")` of one level made.

    `(batch, 4 * channels, height, width)`, band by band as the pooling gives them, to `(batch,
    channels, out_height, out_width)`: the maps that were pooled, to rounding, for every wavelet, mode
    and size. Bands must be whole: `size="full"`, or `periodization`, whose `half` cuts nothing.

    Args:
        wavelet: a discrete wavelet's name in PyWavelets, or taps of one's own.
        normalise: that of the pooling.
        mode: that of the pooling.

    Raises:
        ValueError: an argument is out of range.
    """

    filters: Tensor
    scales: Tensor

    def __init__(
        self,
        wavelet: str | WaveletTaps = "haar",
        normalise: str = "dc",
        mode: str = "periodization",
    ) -> None:
        super().__init__()
        check_mode(mode)
        self.wavelet = wavelet
        self.normalise = normalise
        self.mode = mode
        taps = wavelet_taps(wavelet) if isinstance(wavelet, str) else wavelet
        gains = band_gains(analysis_filters(taps), 1, normalise)
        self.register_constant("filters", synthesis_filters(taps))
        self.register_constant("scales", 1 / gains.unsqueeze(1))

    def forward(
        self,
        bands: Float[Tensor, "batch maps height width"],
        size: tuple[int, int] | None = None,
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the maps.

        Args:
            bands: of a pooling with `bands="all"`.
            size: height and width of the maps that were pooled; None: the even size.

        Raises:
            ValueError: the bands are not four a channel, or cannot be of maps of this size.
        """
        if bands.shape[1] % 4:
            raise ValueError(f"{bands.shape[1]} maps: four bands a channel are needed")
        maps = rounded_once(self._synthesise, bands, self.filters * self.scales)
        if size is not None:
            for wanted, made in zip(size, maps.shape[2:], strict=True):
                if not made - 1 <= wanted <= made:
                    raise ValueError(
                        f"these bands are of {made - 1} or {made} samples, not {wanted}"
                    )
            maps = crop(maps, *size)
        return keep_layout(bands, maps)

    def _synthesise(self, bands: Tensor, filters: Tensor) -> Tensor:
        by_channel = bands.unflatten(1, (4, -1)).transpose(1, 2)
        return synthesise(by_channel, filters, self.mode)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        name = self.wavelet if isinstance(self.wavelet, str) else "given taps"
        return f"{name}, normalise={self.normalise!r}, mode={self.mode!r}"
