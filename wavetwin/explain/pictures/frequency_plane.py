"""Draw the frequency plane: a square over [-pi, pi] in both directions, a cell for each packet.

With J levels the plane has 2**(J+1) x 2**(J+1) cells. A dual-tree packet is drawn at its own cell and
again at minus its frequency; a real packet of `wpt` selects four cells. Vertical frequencies grow
downwards, as rows of an image do, so that a cell lies in the direction in which its waves run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wavetwin.explain.pictures.colour_bar import BAR_HEIGHT, ColourBar, draw_bar
from wavetwin.explain.pictures.colours import FRAME, INK, ink_on, mixed
from wavetwin.explain.pictures.shapes import (
    Box,
    Drawing,
    Lines,
    Rectangle,
    Shape,
    Text,
    hatch,
    text_width,
    wrapped,
)
from wavetwin.explain.pictures.svg import render_svg
from wavetwin.ir.packets import plane_cells

_CELLS = {1: 64.0, 2: 46.0, 3: 34.0, 4: 30.0}
"""Pixels of a cell's side, by levels."""
_MARGIN, _SIDE, _SIZE, _TITLE = 14.0, 38.0, 12.0, 15.0
"""Around the picture, left of the plane for its axis; sizes of ordinary text and of the title."""
_LEAST_SIZE, _MOST_SIZE = 7.0, 15.0


@dataclass(frozen=True, slots=True)
class Cell:
    """How a packet is drawn."""

    fill: str
    """`#rrggbb`."""
    text: str = ""
    """A line in the cell, or a few parted by line ends; left out in all cells of a picture where
    the longest would need text too small to read."""
    title: str = ""
    """Shown where a reader points at the cell."""
    pattern: str | None = None
    """`rising`, `falling`, `cross`, `rows` or `columns`: distinct without colour."""


def frequency_plane(
    levels: int,
    cells: Mapping[int, Cell],
    *,
    title: str,
    transform: str = "dtcwpt",
    legend: Sequence[tuple[str | Cell, str]] = (),
    bar: ColourBar | None = None,
) -> str:
    """Return the plane as an `<svg>` element; see `draw_frequency_plane`."""
    return render_svg(
        draw_frequency_plane(
            levels, cells, title=title, transform=transform, legend=legend, bar=bar
        )
    )


def draw_frequency_plane(
    levels: int,
    cells: Mapping[int, Cell],
    *,
    title: str,
    transform: str = "dtcwpt",
    legend: Sequence[tuple[str | Cell, str]] = (),
    bar: ColourBar | None = None,
) -> Drawing:
    """Return the plane as a drawing.

    Args:
        levels: J, from 1 to 4.
        cells: by packet; those that are not named stay white.
        title: above the plane.
        transform: `dtcwpt` or `wpt`.
        legend: a fill, or a cell with its pattern, and what it stands for; text without a sample
            have the fill "".
        bar: the colours of a scale, below the plane and above the legend; None: there is none.

    Raises:
        ValueError: there is no such packet, pattern or number of levels.
    """
    if levels not in _CELLS:
        raise ValueError(f"no frequency plane of {levels} levels")
    cell, half = _CELLS[levels], 2**levels
    side = 2 * half * cell
    head = wrapped(title, side + _SIDE, _TITLE, bold=True)
    left, top = _MARGIN + _SIDE, _MARGIN + 20.0 * len(head) + 24.0
    shapes: list[Shape] = [
        Text(_MARGIN, _MARGIN + _TITLE + 20.0 * number, line, _TITLE, INK, bold=True)
        for number, line in enumerate(head)
    ]
    plane = (left, top, left + side, top + side)
    shapes.append(Rectangle(left, top, side, side, None, FRAME))
    size = _text_size(cells.values(), cell)
    drawn = [
        shape
        for number, look in cells.items()
        for row, column in plane_cells(transform, levels, number)
        for x, y in ((left + column * cell, top + row * cell),)
        for shape in _draw_cell(look, (x, y, x + cell, y + cell), size)
    ]
    # Shapes of a kind after each other share what they have in common in the file.
    for kind in (Rectangle, Lines, Text):
        shapes += [shape for shape in drawn if isinstance(shape, kind)]
    shapes += _axes(plane)
    bottom = plane[3] + 46.0
    if bar is not None:
        shapes += draw_bar(bar, (plane[0], bottom, plane[2]))
        bottom += BAR_HEIGHT
    for look, meaning in legend:
        lines = wrapped(meaning, plane[2] - _MARGIN - 28, _SIZE)
        shapes += _legend_line(look, lines, bottom)
        bottom += 19.0 * len(lines) + 3.0
    return Drawing(plane[2] + _MARGIN + 8.0, bottom + _MARGIN / 2, title, tuple(shapes))


def _draw_cell(look: Cell, box: Box, size: float) -> Iterator[Shape]:
    left, top, right, bottom = box
    yield Rectangle(left, top, right - left, bottom - top, look.fill, FRAME, 0.6, title=look.title)
    ink = ink_on(look.fill)
    if look.pattern is not None:
        yield hatch(look.pattern, box, mixed(look.fill, ink, 0.4))
    lines = look.text.split("\n") if look.text and size else []
    middle = (top + bottom) / 2
    for number, line in enumerate(lines):
        base = middle + (number - (len(lines) - 1) / 2) * 1.15 * size + 0.36 * size
        halo = look.fill if look.pattern is not None else None
        yield Text((left + right) / 2, base, line, size, ink, "middle", halo=halo)


def _text_size(looks: Iterable[Cell], side: float) -> float:
    """Return the one size at which every text fits into its cell; 0 where it could not be read."""
    size = _MOST_SIZE
    for look in looks:
        lines = look.text.split("\n")
        widest = max(text_width(line, 1.0) for line in lines)
        if widest:
            size = min(size, (side - 3) / widest, (side - 6) / (1.15 * len(lines)))
    return size if size >= _LEAST_SIZE else 0.0


def _axes(plane: Box) -> Iterator[Shape]:
    """Yield the lines through frequency 0, the ticks and what they say."""
    left, top, right, bottom = plane
    middle = ((left + right) / 2, (top + bottom) / 2)
    yield Lines(
        (((middle[0], top), (middle[0], bottom)), ((left, middle[1]), (right, middle[1]))), INK, 1.4
    )
    for step, label in enumerate(("-pi", "-pi/2", "0", "pi/2", "pi")):
        x, y = left + step * (right - left) / 4, top + step * (bottom - top) / 4
        yield Lines((((x, bottom), (x, bottom + 4)), ((left - 4, y), (left, y))), INK)
        yield Text(x, bottom + 17, label, _SIZE, INK, "middle")
        yield Text(left - 7, y + 0.36 * _SIZE, label, _SIZE, INK, "end")
    name = "frequency, radians a pixel"
    yield Text(left - 4 - _SIDE + 4, top - 12, f"vertical {name}, downwards", _SIZE, INK)
    yield Text(middle[0], bottom + 34, f"horizontal {name}", _SIZE, INK, "middle")


def _legend_line(look: str | Cell, lines: Sequence[str], top: float) -> Iterator[Shape]:
    sample = Cell(look) if isinstance(look, str) else look
    left = _MARGIN
    if sample.fill:
        left += 28
        box = (_MARGIN, top, _MARGIN + 20, top + 16)
        yield from _draw_cell(Cell(sample.fill, pattern=sample.pattern), box, 1)
    for number, line in enumerate(lines):
        yield Text(left, top + 12.5 + 19.0 * number, line, _SIZE, INK)
