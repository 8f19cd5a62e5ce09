"""Align two lists: find the items that are the same in both, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

Alignment = tuple[tuple[int | None, int | None], ...]
"""Positions in the first and the second list, in order; None where a list has no such item."""


def align(first: Sequence[T], second: Sequence[T], likeness: Callable[[T, T], float]) -> Alignment:
    """Pair the items of two lists so that the pairs' likeness is the largest in all.

    Pairs keep the order of both lists. Of an item that has no partner, the first list's stands
    before the second's.

    Args:
        first: one list.
        second: the other.
        likeness: of two items, from 0 (never paired) to what equal ones have.
    """
    rows, columns = len(first), len(second)
    # best[i][j]: the largest sum of first[i:] and second[j:].
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    alike = [[likeness(one, other) for other in second] for one in first]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            paired = alike[i][j] + best[i + 1][j + 1] if alike[i][j] > 0 else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < rows and j < columns:
        if alike[i][j] > 0 and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    pairs += [(position, None) for position in range(i, rows)]
    pairs += [(None, position) for position in range(j, columns)]
    return tuple(pairs)
