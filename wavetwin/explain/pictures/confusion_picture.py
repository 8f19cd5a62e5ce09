"""Draw a confusion matrix, and the reliability of probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavetwin.explain.pictures.colours import FAINT, FRAME, INK, PAPER, ink_on, mixed
from wavetwin.explain.pictures.shapes import (
    Drawing,
    Lines,
    Rectangle,
    Shape,
    Text,
    text_width,
    wrapped,
)

__all__ = ["MOST_DRAWN_CLASSES", "Bin", "draw_confusion", "draw_reliability"]

MOST_DRAWN_CLASSES = 100
"""A larger matrix is no picture: at 4 pixels a cell it is as wide as a page."""
_WIDTH = 420.0
"""Of the matrix, at most."""
_LONGEST_NAME = 110.0
_MOST_DRAWN_ZEROS = 30
"""Classes; of more, cells without images are left white, for they would be most of the file."""
_MARGIN, _SIZE, _TITLE = 12.0, 12.0, 15.0
_LEAST_SIZE = 7.0
_DARK, _SECOND = "#00215a", "#c8553d"
_PLOT = 300.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Images whose top predictions are about as probable."""

    images: int
    accuracy: float
    """Share of right top predictions."""
    confidence: float
    """Mean probability of the top predictions."""


def draw_confusion(counts: Sequence[Sequence[int]], names: Sequence[str], title: str) -> Drawing:
    """Return the matrix: a row a class, a column a prediction; the darker, the more of the row's images.

    Numbers and names stand there where they can be read; pointing at a cell shows them always.

    Args:
        counts: of each class's images, how many were predicted as each class; 100 classes at most.
        names: of the classes.
        title: above the matrix.

    Raises:
        ValueError: there are more classes.
    """
    number = len(names)
    if number > MOST_DRAWN_CLASSES:
        raise ValueError(f"{number} classes are too many for a picture")
    cell = min(34.0, _WIDTH / number)
    side = number * cell
    has_names = cell >= _LEAST_SIZE + 3
    shown = [_row_label(number, name) for number, name in enumerate(names)] if has_names else []
    room = max((text_width(name, _name_size(cell)) for name in shown), default=0.0) + 6
    left = _MARGIN + 18 + room
    head = wrapped(title, max(left + side, 260.0), _TITLE, bold=True)
    top = _MARGIN + 20.0 * len(head) + 14
    shapes: list[Shape] = list(_head(head))
    most_digits = max(len(str(value)) for row in counts for value in row)
    size = min(11.0, (cell - 3) / text_width("0" * most_digits, 1.0))
    numbers: list[Text] = []
    for row, values in enumerate(counts):
        total = sum(values)
        for column, value in enumerate(values):
            if not value and number > _MOST_DRAWN_ZEROS:
                continue
            share = value / total if total else 0.0
            fill = mixed(PAPER, _DARK, share)
            x, y = left + column * cell, top + row * cell
            says = f"{names[row]} predicted as {names[column]}: {value} of {total}"
            shapes.append(Rectangle(x, y, cell, cell, fill, FRAME, 0.4, title=says))
            if value and size >= _LEAST_SIZE:
                at = x + cell / 2, y + cell / 2 + 0.36 * size
                numbers.append(Text(*at, str(value), size, ink_on(fill), "middle"))
    shapes += [Rectangle(left, top, side, side, None, FRAME), *numbers]
    bottom = top + side
    for index, name in enumerate(shown):
        middle = (index + 0.5) * cell
        base = top + middle + 0.36 * _name_size(cell)
        shapes.append(Text(left - 5, base, name, _name_size(cell), INK, "end"))
    columns = list(_column_numbers(left, bottom, cell, number))
    shapes += columns
    foot = bottom + (16 if columns else 4)
    legend = "rows: labels; columns: predictions, in the same order; darker: more of the row"
    lines = wrapped(legend, max(left + side, 260.0) - _MARGIN, _SIZE)
    for line_number, line in enumerate(lines):
        shapes.append(Text(_MARGIN, foot + 16 + 16.0 * line_number, line, _SIZE, FAINT))
    width = max(left + side + _MARGIN, 284.0)
    return Drawing(width, foot + 16.0 * len(lines) + _MARGIN, title, tuple(shapes))


def draw_reliability(bins: Sequence[Bin], title: str) -> Drawing:
    """Return the diagram: of each bin the accuracy as a bar, the gap to the mean probability beside it.

    A calibrated network's bars end on the diagonal. Below, how many images a bin has.

    Args:
        bins: of equal width, from probability 0 to 1; one or more has images.
        title: above the diagram.
    """
    left, head = 58.0, wrapped(title, _PLOT + 50, _TITLE, bold=True)
    top = _MARGIN + 20.0 * len(head) + 6
    bottom = top + _PLOT
    shapes: list[Shape] = list(_head(head))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y, x = bottom - tick * _PLOT, left + tick * _PLOT
        shapes.append(Lines((((left, y), (left + _PLOT, y)),), "#d5d8dc", 0.8))
        shapes.append(Text(left - 6, y + 4, f"{tick:.0%}", _SIZE, INK, "end"))
        shapes.append(Text(x, bottom + 76, f"{tick:.0%}", _SIZE, INK, "middle"))
    shapes += _bars(bins, left, bottom)
    shapes.append(Lines((((left, bottom), (left + _PLOT, top)),), INK, 1.2, dashed=True))
    shapes.append(Rectangle(left, top, _PLOT, _PLOT, None, FRAME))
    shapes.append(Rectangle(left, bottom + 4, _PLOT, 56, None, FRAME))
    shapes.append(Text(left - 6, bottom + 36, "images", _SIZE, INK, "end"))
    across = "probability of the top prediction"
    shapes.append(Text(left + _PLOT / 2, bottom + 94, across, _SIZE, INK, "middle"))
    legend = (
        "bars: share of right predictions in a bin; thick marks: mean probability there; "
        "dashed: calibrated"
    )
    lines = wrapped(legend, _PLOT + 50, _SIZE)
    for number, line in enumerate(lines):
        shapes.append(Text(_MARGIN, bottom + 116 + 16.0 * number, line, _SIZE, FAINT))
    height = bottom + 108 + 16.0 * len(lines) + _MARGIN
    return Drawing(left + _PLOT + 24, height, title, tuple(shapes))


def _bars(bins: Sequence[Bin], left: float, bottom: float) -> Iterator[Shape]:
    width, most = _PLOT / len(bins), max(each.images for each in bins)
    marks: list[Shape] = []
    for number, each in enumerate(bins):
        if not each.images:
            continue
        x = left + number * width
        ends = f"{number / len(bins):.3g} to {(number + 1) / len(bins):.3g}"
        says = (
            f"{ends}: {each.images} images, {each.accuracy:.1%} right, mean probability "
            f"{each.confidence:.1%}"
        )
        height = each.accuracy * _PLOT
        yield Rectangle(x, bottom - height, width, height, "#87b4d8", INK, 0.6, title=says)
        share = 54 * each.images / most
        yield Rectangle(x, bottom + 60 - share, width, share, "#9a9a9a", INK, 0.4, title=says)
        y = bottom - each.confidence * _PLOT
        marks.append(Lines((((x, y), (x + width, y)),), _SECOND, 2.4))
        marks.append(Lines((((x + width / 2, y), (x + width / 2, bottom - height)),), _SECOND, 1.0))
    yield from marks


def _head(lines: Sequence[str]) -> Iterator[Text]:
    for number, line in enumerate(lines):
        yield Text(_MARGIN, _MARGIN + _TITLE + 20.0 * number, line, _TITLE, INK, bold=True)


def _name_size(cell: float) -> float:
    return min(11.0, cell - 3)


def _row_label(number: int, name: str) -> str:
    """Return a class's name with its number, by which columns go."""
    return _shortened(name) if name == str(number) else f"{_shortened(name)} {number}"


def _shortened(name: str) -> str:
    """Return a name that has room beside the matrix, with an ellipsis where it is longer."""
    if text_width(name, 11.0) <= _LONGEST_NAME:
        return name
    kept = name
    while text_width(f"{kept}...", 11.0) > _LONGEST_NAME:
        kept = kept[:-1]
    return f"{kept}..."


def _column_numbers(left: float, bottom: float, cell: float, number: int) -> Iterator[Text]:
    """Yield the classes' numbers below the columns, where all have room."""
    size = min(11.0, (cell - 3) / text_width(str(number - 1), 1.0))
    if size < _LEAST_SIZE:
        return
    for index in range(number):
        yield Text(left + (index + 0.5) * cell, bottom + 13, str(index), size, INK, "middle")
