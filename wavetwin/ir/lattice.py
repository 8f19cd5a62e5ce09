"""Find the rotations that an orthogonal wavelet is made of. Standard library only.

`wavetwin.runtime.wavelets.lattice` makes filters of them again, which can be trained.
"""

from __future__ import annotations

import functools
import math

from wavetwin.ir.wavelet_taps import WaveletTaps, wavelet_taps

__all__ = ["free_angles", "lattice_low_pass", "why_no_lattice"]

_TOLERANCE = 1e-7
"""How far taps may be from the lattice's. Long filters with small ends lose their digits as stages are
taken off (db16 ends 2e-7 away), and dmey is orthogonal to 2e-3 only."""


def free_angles(taps: WaveletTaps) -> tuple[float, ...]:
    """Return the angles of an orthogonal wavelet's lattice, but for the first, which is what is left.

    There are half as many as taps, less one.

    Raises:
        ValueError: the wavelet is not orthogonal, or has two taps and nothing to learn.
    """
    if not taps.is_orthogonal:
        raise ValueError("only an orthogonal wavelet is a lattice: db, sym or coif")
    if len(taps.analysis_low) == 2:
        raise ValueError(
            "two taps have no free angle: take a longer wavelet than haar, such as db2"
        )
    low = list(taps.analysis_low)
    # The high-pass that the lattice makes beside it: reversed, with alternating signs.
    high = [tap if at % 2 else -tap for at, tap in enumerate(reversed(low))]
    angles: list[float] = []
    while len(low) > 2:
        angle = _last_angle(low, high)
        angles.append(angle)
        cosine, sine = math.cos(angle), math.sin(angle)
        pairs = list(zip(low, high, strict=True))
        low = [cosine * a - sine * b for a, b in pairs][:-2]
        high = [sine * a + cosine * b for a, b in pairs][2:]
    found = tuple(reversed(angles))
    made = lattice_low_pass(found)
    distance = max(abs(a - b) for a, b in zip(made, taps.analysis_low, strict=True))
    if distance > _TOLERANCE:
        raise ValueError(
            f"the nearest lattice is {distance:.0e} away from these taps: db2 to db15, sym2 to sym20 "
            "and coif1 to coif12 are lattices to rounding"
        )
    return found


def lattice_low_pass(angles: tuple[float, ...]) -> list[float]:
    """Return the low-pass filter of some free angles; the high-pass is it backwards, up to signs."""
    first = math.pi / 4 - sum(angles)
    low: list[float] = [math.cos(first), math.sin(first)]
    high: list[float] = [-math.sin(first), math.cos(first)]
    for angle in angles:
        cosine, sine = math.cos(angle), math.sin(angle)
        early: list[float] = [*low, 0.0, 0.0]
        late: list[float] = [0.0, 0.0, *high]
        low = [cosine * a + sine * b for a, b in zip(early, late, strict=True)]
        high = [cosine * b - sine * a for a, b in zip(early, late, strict=True)]
    return low


@functools.cache
def why_no_lattice(name: str) -> str | None:
    """Return why the wavelet of a name is no lattice with angles to learn; None where it is one."""
    try:
        free_angles(wavelet_taps(name))
    except ValueError as error:
        return str(error)
    return None


def _last_angle(low: list[float], high: list[float]) -> float:
    """Return the angle of the last rotation, from the ends that are the largest."""
    tail = sum(tap**2 for tap in (*low[-2:], *high[-2:]))
    head = sum(tap**2 for tap in (*low[:2], *high[:2]))
    if tail >= head:
        at = -1 - int(abs(high[-1]) + abs(low[-1]) < abs(high[-2]) + abs(low[-2]))
        return math.atan2(low[at], high[at])
    at = int(abs(high[0]) + abs(low[0]) < abs(high[1]) + abs(low[1]))
    return math.atan2(-high[at], low[at])
