"""List the filters of a dual-tree transform's first level, by the dtcwt package's names, exactly.

Odd lengths, symmetric, not decimated: both trees read one set, a sample apart. A low-pass sums to 1.
Standard library only. Sources: Kingsbury 2001 (doi:10.1006/acha.2000.0343) for the near-symmetric
pairs, whose taps are rational; LeGall and Tabatabai 1988; Antonini et al. 1992
(doi:10.1109/83.136597), made here from its polynomial.
"""

from __future__ import annotations

import functools

from wavetwin.ir.frozen import frozen


@frozen
class Level1Taps:
    """The four filters: analysis and synthesis, low-pass and high-pass, of odd lengths.

    `analysis_low * synthesis_low + analysis_high * synthesis_high` (products of polynomials) is one
    sample, undecimated.
    """

    analysis_low: tuple[float, ...]
    analysis_high: tuple[float, ...]
    synthesis_low: tuple[float, ...]
    synthesis_high: tuple[float, ...]


LEVEL1_FILTERS: tuple[str, ...] = ("near_sym_a", "near_sym_b", "legall", "antonini")
"""Names of first-level filters."""

_RATIONAL: dict[str, tuple[tuple[tuple[int, ...], int], tuple[tuple[int, ...], int]]] = {
    "near_sym_a": (((12, 5, -1), 20), ((170, 73, -15, -3), 280)),
    "near_sym_b": (
        ((2844, 1520, -247, -240, 114, 0, -9), 5120),
        ((641600, 343786, -59280, -63816, 27360, 8208, -2160, -1539, 0, 81), 1146880),
    ),
    "legall": (((6, 2, -1), 8), ((2, 1), 4)),
}
"""Low-pass filters of analysis and of synthesis: from the middle tap outwards, over a denominator."""


@functools.cache
def level1_taps(name: str) -> Level1Taps:
    """Return the filters of a first level.

    Raises:
        ValueError: there are none of this name.
    """
    if name not in LEVEL1_FILTERS:
        raise ValueError(f"no first-level filters {name!r}: one of {', '.join(LEVEL1_FILTERS)}")
    if name == "antonini":
        low, low_back = _antonini()
    else:
        low, low_back = (_whole(*half) for half in _RATIONAL[name])
    return Level1Taps(low, _alternate(low_back), low_back, _alternate(low))


def _whole(half: tuple[int, ...], denominator: int) -> tuple[float, ...]:
    taps = [number / denominator for number in half]
    return (*taps[:0:-1], *taps)


def _alternate(taps: tuple[float, ...]) -> tuple[float, ...]:
    """Return the taps with the sign of every second one changed; the middle one keeps its own."""
    middle = len(taps) // 2
    return tuple(-tap if (i - middle) % 2 else tap for i, tap in enumerate(taps))


def _antonini() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the 9 and the 7 taps.

    With y = (2 - z - 1/z) / 4 both have (1 - y)^2, and what is left of the shortest half-band
    product, 1 + 4 y + 10 y^2 + 20 y^3, is divided: the real root to the 7 taps, the rest to the 9.
    """
    root = -0.342384  # Newton's method doubles the digits each time
    for _ in range(5):
        root -= (1 + root * (4 + root * (10 + root * 20))) / (4 + root * (20 + root * 60))
    # 1 + 4y + 10y^2 + 20y^3 = (1 - y / root)(1 + a y + b y^2)
    a = 4 + 1 / root
    b = 10 + a / root
    zeros = _product(_in_y(1.0, -1.0), _in_y(1.0, -1.0))
    long = _product(zeros, _in_y(1.0, a, b))
    return long, _product(zeros, _in_y(1.0, -1 / root))


def _in_y(*coefficients: float) -> tuple[float, ...]:
    """Return the taps of a polynomial in y = (2 - z - 1/z) / 4."""
    taps: tuple[float, ...] = (coefficients[-1],)
    for coefficient in coefficients[-2::-1]:
        longer = list(_product(taps, (-0.25, 0.5, -0.25)))
        longer[len(longer) // 2] += coefficient
        taps = tuple(longer)
    return taps


def _product(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    taps = [0.0] * (len(first) + len(second) - 1)
    for i, x in enumerate(first):
        for k, y in enumerate(second):
            taps[i + k] += x * y
    return tuple(taps)
