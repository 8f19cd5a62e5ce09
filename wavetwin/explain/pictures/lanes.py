"""Arrange the items of a layered drawing: a row for each layer, and lanes side by side.

An item's row is one below the lowest item that it reads. An edge that passes rows by runs down a lane
that is free there, so that no line crosses a box: lines change lanes between rows only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Spot = tuple[int, int]
"""Row and lane, from 0."""


@dataclass
class Lanes:
    """Where items and edges lie; items are numbers, in topological order."""

    spots: list[Spot] = field(default_factory=list[Spot])
    """Of the items."""
    passes: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    """The lane of each edge (source, reader) that passes rows by."""
    _taken: set[Spot] = field(default_factory=set[Spot])

    @property
    def num_rows(self) -> int:
        """Rows in use."""
        return 1 + max(row for row, _ in self.spots)

    @property
    def num_lanes(self) -> int:
        """Lanes in use, by items or by edges."""
        return 1 + max(lane for _, lane in self._taken)


def lay_out(inputs: Sequence[Sequence[int]]) -> Lanes:
    """Return the row and the lane of each item.

    Args:
        inputs: the items that each item reads, all of them before it.
    """
    rows: list[int] = []
    for sources in inputs:
        rows.append(1 + max((rows[source] for source in sources), default=-1))
    readers: list[list[int]] = [[] for _ in inputs]
    for reader, sources in enumerate(inputs):
        for source in dict.fromkeys(sources):
            readers[source].append(reader)
    lanes = Lanes(spots=[(row, 0) for row in rows])
    for item in sorted(range(len(inputs)), key=lambda item: (rows[item], item)):
        wanted = [
            lanes.passes.get((source, item), lanes.spots[source][1]) for source in inputs[item]
        ]
        lane = next(
            lane for lane in _nearest(wanted or [0]) if (rows[item], lane) not in lanes._taken
        )
        lanes.spots[item] = (rows[item], lane)
        lanes._taken.add((rows[item], lane))
        _reserve(lanes, rows, item, readers[item], inputs)
    return lanes


def _reserve(
    lanes: Lanes,
    rows: Sequence[int],
    item: int,
    readers: Sequence[int],
    inputs: Sequence[Sequence[int]],
) -> None:
    """Keep a lane free for each of an item's edges that passes rows by."""
    own = lanes.spots[item][1]
    continues = any(
        rows[reader] == rows[item] + 1 and inputs[reader][0] == item for reader in readers
    )
    for reader in readers:
        between = range(rows[item] + 1, rows[reader])
        if not between:
            continue
        lane = next(
            lane
            for lane in _nearest([own])
            if not (continues and lane == own)
            and all((row, lane) not in lanes._taken for row in between)
        )
        lanes.passes[item, reader] = lane
        lanes._taken.update((row, lane) for row in between)


def _nearest(wanted: Sequence[int]) -> Iterator[int]:
    """Yield lanes: the wanted ones, then those ever further from the first, the right one first."""
    yield from wanted
    distance = 1
    while True:
        yield wanted[0] + distance
        if wanted[0] >= distance:
            yield wanted[0] - distance
        distance += 1
