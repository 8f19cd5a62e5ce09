"""Define the layer `wavelet_pool`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import FieldFault, LayerKind, LayerOptions
from wavetwin.ir.operations import Shape, WaveletPool
from wavetwin.ir.section import declare
from wavetwin.ir.wavelet_bank import WaveletBank

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class WaveletPoolLayer(LayerKind, WaveletBank):
    """Pooling by the bands of a wavelet."""

    key = "wavelet_pool"

    bands: Literal["ll", "all", "mix", "modulus", "energy"] = "ll"
    """`ll`: the approximation; `all`: four bands; `mix`: a trained 1x1 map of them, which begins as `ll` of
    `dc`; `modulus`: the approximation and the details' moduli; `energy`: the approximation and one root
    of the details' summed squares."""
    levels: int = declare(1, ge=1, le=8)
    """How often maps are halved; details of the levels before the last are dropped."""
    smoothing: float = declare(0.01, gt=0.0, le=1e6)
    """b of `modulus` and `energy`: sqrt(x^2 + b^2) - b."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield the fields that do not go together."""
        return self.bank_faults(self.bands)

    def operation(self, shape: Shape, options: LayerOptions) -> WaveletPool:
        """Return the pooling."""
        return self.pool(self.bands, self.levels, self.smoothing)


LAYER_KINDS = (WaveletPoolLayer,)
