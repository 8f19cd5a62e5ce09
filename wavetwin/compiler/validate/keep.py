"""Find the packets that a spec's `keep` and `exclude` mean, however they are spelt."""

from __future__ import annotations

from wavetwin.compiler.schema import ExcludeRule, KeepSpec, WaveletSpec
from wavetwin.ir.packets import dyadic_band, excluded, num_packets


def exclude_rules(wavelet: WaveletSpec) -> tuple[ExcludeRule, ...]:
    """Return the rules as a tuple, however they are spelt."""
    return (wavelet.exclude,) if isinstance(wavelet.exclude, str) else wavelet.exclude


def _listed(wavelet: WaveletSpec, entry: KeepSpec) -> tuple[int, ...]:
    """Return the packets that an entry lists, or all of them."""
    if isinstance(entry.packets, str):
        return tuple(range(num_packets(wavelet.transform, wavelet.levels)))
    return entry.packets or ()


def expand_keep(wavelet: WaveletSpec) -> tuple[tuple[int, ...], ...]:
    """Return the packets of each entry of `keep`, with bands and rules expanded."""
    left_out = excluded(wavelet.transform, wavelet.levels, exclude_rules(wavelet))
    return tuple(
        _listed(wavelet, entry)
        if entry.packets is not None
        else tuple(
            number
            for number in dyadic_band(wavelet.transform, wavelet.levels, entry.band or 0)
            if number not in left_out
        )
        for entry in wavelet.keep
    )
