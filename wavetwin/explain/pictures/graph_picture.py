"""Draw a module graph from top to bottom, in as many columns as it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wavetwin.explain.pictures.colours import (
    FAINT,
    FRAME,
    INK,
    PAPER,
    Category,
    category,
    ink_on,
    mixed,
)
from wavetwin.explain.pictures.graph_items import FIXED, OTHER, TRAINED, Item, graph_items
from wavetwin.explain.pictures.lanes import Lanes, lay_out
from wavetwin.explain.pictures.shapes import (
    Drawing,
    Lines,
    Point,
    Polygon,
    Rectangle,
    Shape,
    Text,
    hatch,
    text_width,
)
from wavetwin.ir.graph import ModuleGraph

LEAST_ROWS, SHAPE = 18, 5.0
"""A column has this many rows, or of a long graph as many as make the picture about square: a box
with its gap is this many times as wide as high."""
_SIZE, _LEADING, _TITLE = 11.0, 15.0, 16.0
_PAD, _STRIPE, _GAP, _LANE_GAP, _COLUMN_GAP, _MARGIN = 7.0, 9.0, 24.0, 18.0, 44.0, 16.0
_ROLES: dict[str, Category] = {
    TRAINED: category(0),
    FIXED: category(5),
    OTHER: Category(PAPER, None),
}


def draw_graph(graph: ModuleGraph, *, full: bool = False, label: str = "as written") -> Drawing:
    """Return a picture of a model.

    Args:
        graph: as written, or after the passes.
        full: draw every node; otherwise a residual block is one box.
        label: say in the title which graph it is.
    """
    columns = [_Column(items) for items in _columns(graph_items(graph, full=full))]
    counts = graph.parameters
    title = (
        f"{graph.name}, {label}: {len(graph.nodes)} nodes, {counts.total:,} parameters, "
        f"{graph.macs:,} MACs"
    )
    top = _MARGIN + 2 * _TITLE
    shapes: list[Shape] = [Text(_MARGIN, _MARGIN + _TITLE, title, _TITLE, INK, bold=True)]
    x = _MARGIN
    for column in columns:
        shapes += column.draw(x, top)
        x += column.width + _COLUMN_GAP
    bottom = top + max(column.height for column in columns) + _GAP
    width = max(x - _COLUMN_GAP, _MARGIN + text_width(title, _TITLE, bold=True))
    meanings = list(_meanings(len(columns)))
    for number, (look, meaning) in enumerate(meanings):
        line = bottom + number * (_LEADING + 6)
        shapes += _swatch(look, (_MARGIN, line, _MARGIN + 16, line + 14))
        shapes.append(Text(_MARGIN + 24, line + 11, meaning, _SIZE, INK))
        width = max(width, _MARGIN + 24 + text_width(meaning, _SIZE))
    bottom += len(meanings) * (_LEADING + 6)
    return Drawing(width + _MARGIN, bottom + _MARGIN, title, tuple(shapes))


def _meanings(num_columns: int) -> Iterator[tuple[Category | None, str]]:
    for role, look in _ROLES.items():
        yield look, role
    if num_columns > 1:
        yield None, "dashed box: the last box of the column before, again"


def _columns(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Yield the items of each column, numbered anew; parted where all lines come from one item."""
    last_reader = list(range(len(items)))
    for reader, item in enumerate(items):
        for source in item.inputs:
            last_reader[source] = max(last_reader[source], reader)
    column: list[Item] = []
    numbers: dict[int, int] = {}
    open_until = 0
    """The last reader of any item but the newest."""
    total = lay_out([item.inputs for item in items]).num_rows
    rows = total / max(1, round(total / max(LEAST_ROWS, (SHAPE * total) ** 0.5)))
    for index, item in enumerate(items):
        numbers[index] = len(column)
        column.append(replace(item, inputs=tuple(numbers[source] for source in item.inputs)))
        is_cut = open_until <= index and index < len(items) - 1
        if is_cut and lay_out([each.inputs for each in column]).num_rows >= rows:
            yield column
            column = [replace(item, inputs=(), is_continued=True)]
            numbers = {index: 0}
        open_until = max(open_until, last_reader[index])
    yield column


@dataclass(frozen=True)
class _Column:
    """Items one below the other; lanes beside each other."""

    items: Sequence[Item]

    @property
    def lanes(self) -> Lanes:
        """Where the items lie."""
        return lay_out([item.inputs for item in self.items])

    @property
    def box_width(self) -> float:
        """Of every box: the widest text fits."""
        return (
            _STRIPE
            + 2 * _PAD
            + max(
                text_width(line, _SIZE, bold=number == 0)
                for item in self.items
                for number, line in enumerate(item.lines)
            )
        )

    @property
    def width(self) -> float:
        """Of the whole column."""
        lanes = self.lanes.num_lanes
        return lanes * self.box_width + (lanes - 1) * _LANE_GAP

    @property
    def heights(self) -> list[float]:
        """Of the rows, without the gaps between them."""
        lanes = self.lanes
        heights = [0.0] * lanes.num_rows
        for item, (row, _) in zip(self.items, lanes.spots, strict=True):
            heights[row] = max(heights[row], _box_height(item))
        return heights

    @property
    def height(self) -> float:
        """Of the whole column."""
        return sum(self.heights) + _GAP * (len(self.heights) - 1)

    def draw(self, left: float, top: float) -> Iterator[Shape]:
        """Yield the column's shapes: lines, then boxes over them."""
        lanes, heights, width = self.lanes, self.heights, self.box_width
        tops = [top + sum(heights[:row]) + _GAP * row for row in range(len(heights))]
        bottoms = [start + height for start, height in zip(tops, heights, strict=True)]

        def middle(lane: int) -> float:
            return left + lane * (width + _LANE_GAP) + width / 2

        for index, item in enumerate(self.items):
            row, lane = lanes.spots[index]
            for position, source in enumerate(item.inputs):
                offset = 26.0 * (position - (len(item.inputs) - 1) / 2)
                first, from_lane = lanes.spots[source]
                points = [(middle(from_lane), tops[first] + _box_height(self.items[source]))]
                if (source, index) in lanes.passes:
                    x = middle(lanes.passes[source, index])
                    points += [(x, tops[first + 1]), (x, bottoms[row - 1])]
                elif bottoms[first] > points[0][1]:
                    points.append((middle(from_lane), bottoms[first]))
                points.append((middle(lane) + offset, tops[row]))
                yield from _arrow(points)
        for item, (row, lane) in zip(self.items, lanes.spots, strict=True):
            yield from _box(item, middle(lane) - width / 2, tops[row], width)


def _box_height(item: Item) -> float:
    return 2 * _PAD + _LEADING * len(item.lines) - 3


def _arrow(points: Sequence[Point]) -> Iterator[Shape]:
    x, y = points[-1]
    yield Lines(((*points[:-1], (x, y - 5)),), FAINT, 1.2)
    yield Polygon(((x - 4, y - 7), (x + 4, y - 7), (x, y)), FAINT)


def _box(item: Item, x: float, y: float, width: float) -> Iterator[Shape]:
    height = _box_height(item)
    if item.is_continued:
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y))
        yield Rectangle(x, y, width, height, PAPER)
        yield Lines((corners,), FAINT, 1.0, dashed=True)
    else:
        yield Rectangle(x, y, width, height, PAPER, FRAME, title=", ".join(item.lines))
        yield from _swatch(_ROLES[item.role], (x, y, x + _STRIPE, y + height))
    for number, line in enumerate(item.lines):
        base = y + _PAD + _SIZE - 1 + _LEADING * number
        colour = INK if number == 0 else FAINT
        yield Text(x + _STRIPE + _PAD, base, line, _SIZE, colour, bold=number == 0)


def _swatch(look: Category | None, box: tuple[float, float, float, float]) -> Iterator[Shape]:
    if look is None:
        return
    left, top, right, bottom = box
    yield Rectangle(left, top, right - left, bottom - top, look.fill, FRAME)
    if look.pattern is not None:
        yield hatch(look.pattern, box, mixed(look.fill, ink_on(look.fill), 0.6))
