"""The taps that are shipped as facts, against their sources and against what defines them."""

import math

import numpy as np
import pytest
import pywt
import torch

from wavetwin.ir.level1_taps import LEVEL1_FILTERS, level1_taps
from wavetwin.ir.wavelet_taps import wavelet_taps
from wavetwin.ir.wavelets import PYWAVELETS_LENGTHS
from wavetwin.runtime.wavelets.filtering import analysis_filters
from wavetwin.runtime.wavelets.lattice import free_angles, lattice_filters


def test_taps_are_those_of_pywavelets() -> None:
    for name in pywt.wavelist(kind="discrete"):
        theirs, taps = pywt.Wavelet(name), wavelet_taps(name)
        assert taps.analysis_low == tuple(theirs.dec_lo), name
        assert taps.analysis_high == tuple(theirs.dec_hi), name
        assert taps.synthesis_low == tuple(theirs.rec_lo), name
        assert taps.synthesis_high == tuple(theirs.rec_hi), name
        assert taps.is_orthogonal or not theirs.orthogonal, name


def test_banks_reconstruct() -> None:
    for name in PYWAVELETS_LENGTHS:
        taps = wavelet_taps(name)
        low = np.convolve(taps.analysis_low, taps.synthesis_low)
        product = low + np.convolve(taps.analysis_high, taps.synthesis_high)
        product[len(product) // 2] -= 2
        # sym's digits end at 1e-11, bior4.4's at 1e-11, and dmey is a truncated filter.
        tolerance = 1e-2 if name == "dmey" else 1e-10
        assert abs(product).max() < tolerance, name
        assert sum(taps.analysis_low) == pytest.approx(math.sqrt(2), abs=1e-3 * tolerance**0.5)


def test_first_level_filters_reconstruct_undecimated() -> None:
    for name in LEVEL1_FILTERS:
        taps = level1_taps(name)
        product = np.convolve(taps.analysis_low, taps.synthesis_low)
        product += np.convolve(taps.analysis_high, taps.synthesis_high)
        product[len(product) // 2] -= 1
        assert abs(product).max() < 1e-15, name
        assert sum(taps.analysis_low) == pytest.approx(1, abs=1e-15)
        assert sum(taps.analysis_high) == pytest.approx(0, abs=1e-15)


def test_a_lattice_is_the_wavelet_and_cannot_leave_orthogonality() -> None:
    for name in ("db2", "sym5", "coif3", "db15"):
        taps = wavelet_taps(name)
        angles = free_angles(taps)
        assert len(angles) == len(taps.analysis_low) // 2 - 1
        # sym5's digits end at 1e-12; db15's lattice loses eight digits as stages are taken off.
        tolerance = 1e-7 if name == "db15" else 1e-11
        assert (lattice_filters(angles) - analysis_filters(taps)).abs().max() < tolerance
        moved = lattice_filters(angles + torch.linspace(-2, 3, len(angles), dtype=torch.float64))
        for shift in range(0, moved.shape[1], 2):
            later = moved[:, shift:] @ moved[:, : moved.shape[1] - shift].T
            expected = torch.eye(2, dtype=torch.float64) * (shift == 0)
            torch.testing.assert_close(later, expected, rtol=0, atol=1e-14)
        gains = torch.tensor([math.sqrt(2), 0.0], dtype=torch.float64)
        torch.testing.assert_close(moved.sum(1), gains, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "message"),
    [("bior4.4", "only an orthogonal"), ("haar", "no free angle"), ("dmey", "the nearest lattice")],
)
def test_wavelets_that_are_no_lattice_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        free_angles(wavelet_taps(name))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no discrete wavelet 'morl'"):
        wavelet_taps("morl")
    with pytest.raises(ValueError, match="no first-level filters 'db2': one of near_sym_a, "):
        level1_taps("db2")
