"""Declare what a spec says of a wavelet pooling, in named backbones and among listed layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.lattice import why_no_lattice
from wavetwin.ir.layer_kind import FieldFault
from wavetwin.ir.operations import WaveletPool
from wavetwin.ir.section import Section, declare
from wavetwin.ir.wavelets import BOUNDARY_MODES, known_filters

__all__ = ["PooledBands", "WaveletBank"]

if TYPE_CHECKING:
    BoundaryMode = str
else:  # The table's names, which a type checker cannot follow.
    BoundaryMode = Literal[tuple(BOUNDARY_MODES)]


@frozen(kw_only=True)
class WaveletBank(Section):
    """The bank of a wavelet pooling."""

    wavelet: str = declare("haar", min_length=1, max_length=64)
    """A discrete wavelet's name in PyWavelets."""
    normalise: Literal["dc", "orthonormal", "unit_variance"] = "dc"
    """How bands are scaled: `dc`, a constant stays as it is; `orthonormal`, PyWavelets' own, doubles it
    a level; `unit_variance`, white noise keeps its variance in every band."""
    mode: BoundaryMode = "periodization"
    """How maps go on beyond their borders, by PyWavelets' names."""
    size: Literal["half", "full"] = "half"
    """`half`: ceil(n / 2) samples of n; `full`: as many as PyWavelets gives."""
    learn: Literal[False, "lattice"] = False
    """`lattice`: the wavelet's angles are trained, and it stays orthogonal; false: its taps are fixed."""
    mixing: Literal["full", "depthwise"] = "full"
    """Of `bands: mix`: `full`, of all channels' bands, or `depthwise`, of each channel's own."""

    def bank_faults(self, bands: str) -> Iterator[FieldFault]:
        """Yield a wavelet that is not there or cannot be learned, and a mixing of nothing."""
        if self.wavelet not in known_filters("wpt"):
            yield FieldFault(
                "unknown-filters",
                f"there is no wavelet {self.wavelet!r}",
                ("wavelet",),
                help="take a discrete wavelet of PyWavelets: haar, db2, sym4, bior2.2",
            )
        elif self.learn and (reason := why_no_lattice(self.wavelet)) is not None:
            yield FieldFault(
                "wavelet-without-lattice",
                f"the angles of {self.wavelet} cannot be trained: {reason}",
                ("learn", "wavelet"),
                help="set wavelet to db2, or learn to false",
            )
        if self.mixing != "full" and bands != "mix":
            yield FieldFault(
                "field-does-not-apply",
                f"mixing is of bands: mix, and bands is {bands}",
                ("mixing", "bands"),
                help="remove mixing, or set bands to mix",
            )

    def pool(self, bands: str, levels: int = 1, smoothing: float = 0.01) -> WaveletPool:
        """Return the pooling that keeps these bands of the last of these levels."""
        return WaveletPool(
            wavelet=self.wavelet,
            bands=bands,
            levels=levels,
            normalise=self.normalise,
            mode=self.mode,
            size=self.size,
            learn=self.learn or None,
            mixing=self.mixing,
            smoothing=smoothing,
        )


@frozen(kw_only=True)
class PooledBands(WaveletBank):
    """Wavelet poolings, wherever the first pooling or the downsampling is `wavelet`."""

    bands: Literal["ll", "mix"] = "ll"
    """`ll`: the approximation; `mix`: a trained 1x1 map of all four bands, which begins as `ll` of `dc`."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield the fields that do not go together."""
        return self.bank_faults(self.bands)

    def operation(self) -> WaveletPool:
        """Return the pooling."""
        return self.pool(self.bands)
