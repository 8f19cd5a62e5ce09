"""Factor the two filters of a split into a chain of rotations (lattice.h computes them)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wavetwin.runtime.bank.filters import qshift_taps

__all__ = ["Lattice", "Lattices", "make_lattices"]

_SMALLEST = 1e-9
"""Of what is more than rounding errors, in filters of norm 1."""


@dataclass(frozen=True)
class Lattice:
    """An orthonormal pair of filters as rotations without their cosines.

    What the rotations give is `gain` times the filters' outputs, each with its sign.
    """

    gain: float
    turns: tuple[float, ...]
    """Tangents, in the order in which samples meet them; half as many as there are taps."""
    is_swapped: bool
    """Whether the first output is the high-pass filter's."""
    signs: tuple[float, float]
    """Of the low-pass and the high-pass filter's output."""


@dataclass(frozen=True)
class Lattices:
    """Of a bank's filters."""

    of_trees: tuple[Lattice, Lattice]
    is_crossed: bool
    """Whether the first rotation takes a pair's second sample as its first."""
    gain: float
    """The same in both trees."""


@functools.cache
def make_lattices(filters: str) -> Lattices:
    """Return the lattices of the filters of that name: of several those of the smallest gain.

    Raises:
        ValueError: the filters are not two orthonormal pairs, one the other in reverse.
    """
    low, high = (taps.tolist() for taps in qshift_taps(filters))
    found: list[Lattices] = []
    for is_crossed in (False, True):
        of_trees: list[Lattice] = []
        for pair in zip(low, high, strict=True):
            ways = [_factor(*pair, is_crossed, is_swapped) for is_swapped in (False, True)]
            of_trees += sorted((way for way in ways if way), key=lambda way: way.gain)[:1]
        if len(of_trees) == 2 and math.isclose(of_trees[0].gain, of_trees[1].gain, rel_tol=1e-9):
            found.append(Lattices((of_trees[0], of_trees[1]), is_crossed, of_trees[0].gain))
    if not found:
        raise ValueError(f"{filters} are not two orthonormal pairs, one the other in reverse")
    return min(found, key=lambda lattices: lattices.gain)


def _factor(
    low: Sequence[float], high: Sequence[float], is_crossed: bool, is_swapped: bool
) -> Lattice | None:
    """Return a lattice; None where there is none, or a rotation has no tangent."""
    order = [at ^ int(is_crossed) for at in range(len(low))]
    first, second = ([taps[at] for at in order] for taps in (low, high))
    if is_swapped:
        first, second = second, first
    for sign in (1.0, -1.0):
        found = _rotations(first, [sign * tap for tap in second])
        if found is not None:
            turns, scale = found
            of_first = math.copysign(1.0, scale)
            of_second = sign * of_first
            signs = (of_second, of_first) if is_swapped else (of_first, of_second)
            return Lattice(1 / abs(scale), turns, is_swapped, signs)
    return None


def _rotations(first: list[float], second: list[float]) -> tuple[tuple[float, ...], float] | None:
    """Return tangents, and what the rotations' outputs are times to be the filters'."""
    turns: list[float] = []
    scale = 1.0
    # The last rotation first. Without it the first filter has no first pair of taps, and the second no last.
    while len(first) > 2:
        above, below = max(zip(first[:2], second[:2], strict=True), key=lambda pair: abs(pair[1]))
        if abs(below) < _SMALLEST:
            return None
        turn = above / below
        cosine = 1 / math.hypot(1, turn)
        pairs = list(zip(first, second, strict=True))
        first = [cosine * (one - turn * other) for one, other in pairs]
        second = [cosine * (other + turn * one) for one, other in pairs]
        if max(map(abs, first[:2] + second[-2:])) > _SMALLEST:
            return None
        first, second = first[2:], second[:-2]
        turns.append(turn)
        scale *= cosine
    (one, other), (minus_other, same) = first, second
    if abs(one) < _SMALLEST or abs(one - same) + abs(other + minus_other) > _SMALLEST:
        return None
    return (other / one, *turns[::-1]), scale * one
