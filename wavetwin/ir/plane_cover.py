"""Compute which share of the frequency plane packets cover, comparable between levels."""

from __future__ import annotations

from collections.abc import Iterable

from wavetwin.ir.frozen import frozen
from wavetwin.ir.packets import plane_cells


@frozen
class PlaneCover:
    """Cells of the frequency plane that packets cover."""

    levels: int
    """The plane has `2**(levels + 1)` cells a side."""
    cells: frozenset[tuple[int, int]]

    @property
    def share(self) -> float:
        """How much of the plane is covered, from 0 to 1."""
        return len(self.cells) / 4 ** (self.levels + 1)

    def refined(self, levels: int) -> PlaneCover:
        """Return the same part of the plane in the smaller cells of more levels."""
        size = 2 ** (levels - self.levels)
        cells = frozenset(
            (size * row + down, size * column + right)
            for row, column in self.cells
            for down in range(size)
            for right in range(size)
        )
        return PlaneCover(levels, cells)


def cover_of(transform: str, levels: int, packets: Iterable[int]) -> PlaneCover:
    """Return what packets cover: a dual-tree one two cells, a real one of `wpt` four."""
    return PlaneCover(
        levels,
        frozenset(cell for number in packets for cell in plane_cells(transform, levels, number)),
    )


def common_share(first: PlaneCover, second: PlaneCover) -> float:
    """Return how much of the plane both cover, from 0 to 1."""
    levels = max(first.levels, second.levels)
    cells = first.refined(levels).cells & second.refined(levels).cells
    return PlaneCover(levels, cells).share
