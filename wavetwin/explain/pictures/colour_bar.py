"""Draw the colours of a scale as a bar, with ticks at round values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavetwin.explain.pictures.colours import FRAME, INK, heat
from wavetwin.explain.pictures.shapes import Lines, Rectangle, Shape, Text

__all__ = ["BAR_HEIGHT", "ColourBar", "draw_bar"]

BAR_HEIGHT = 58.0
"""Pixels, its labels and title with it."""
_STEPS, _THICK, _SIZE = 48, 14.0, 12.0


@dataclass(frozen=True, slots=True)
class ColourBar:
    """The scale of a picture whose colours are `colours.heat` of a share."""

    title: str
    ticks: Sequence[tuple[float, str]]
    """Share from 0, the dark end, to 1, and what the value there is called."""


def draw_bar(bar: ColourBar, span: tuple[float, float, float]) -> Iterator[Shape]:
    """Yield the bar's shapes.

    Args:
        bar: what is drawn.
        span: left, top and right, in pixels.
    """
    left, top, right = span
    width = right - left
    step = width / _STEPS
    for number in range(_STEPS):
        fill = heat((number + 0.5) / _STEPS, 0.0, 1.0)
        # A little wider, so that no paper shows between two.
        wide = step if number == _STEPS - 1 else step + 0.5
        yield Rectangle(left + number * step, top, wide, _THICK, fill)
    yield Rectangle(left, top, width, _THICK, None, FRAME)
    below = top + _THICK
    marks = [left + share * width for share, _ in bar.ticks]
    yield Lines(tuple(((x, below), (x, below + 4)) for x in marks), INK)
    for x, (share, label) in zip(marks, bar.ticks, strict=True):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        yield Text(x, below + 16, label, _SIZE, INK, anchor)
    yield Text(left + width / 2, below + 33, bar.title, _SIZE, INK, "middle")
