"""Define the shapes that a drawing is made of, and measure the room that text takes.

Lengths are in pixels of an SVG's view box, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Anchor = Literal["start", "middle", "end"]

ASCENT, DESCENT = 0.78, 0.22
"""Of letters above and below their baseline, in sizes."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A filled box, a framed one, or both."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    stroke_width: float = 1.0
    radius: float = 0.0
    """Of the corners."""
    title: str = ""
    """Shown where a reader points at it."""

    @property
    def box(self) -> Box:
        """The room that it takes, without its stroke."""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True, slots=True)
class Lines:
    """Open lines through points, all in one stroke."""

    points: tuple[tuple[Point, ...], ...]
    stroke: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled area with straight sides."""

    points: tuple[Point, ...]
    fill: str


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; y is that of its baseline."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: Anchor = "start"
    bold: bool = False
    halo: str | None = None
    """Colour of a rim around the letters, where they stand on a pattern."""

    @property
    def box(self) -> Box:
        """The room that it takes, at least."""
        width = text_width(self.text, self.size, bold=self.bold)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.y - ASCENT * self.size, left + width, self.y + DESCENT * self.size


Shape = Rectangle | Lines | Polygon | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture on white paper; later shapes lie over earlier ones."""

    width: float
    height: float
    title: str
    """What the picture shows, in a line: also read out to those who do not see it."""
    shapes: tuple[Shape, ...]

    @property
    def texts(self) -> Iterator[Text]:
        """Its texts."""
        return (shape for shape in self.shapes if isinstance(shape, Text))


_WIDTHS = {
    **dict.fromkeys("ijl'|", 0.28),
    **dict.fromkeys(" .,/:;I!", 0.34),
    **dict.fromkeys('frt-()[]J"', 0.42),
    **dict.fromkeys("cksvxyzELT?_*", 0.60),
    **dict.fromkeys("mwMW%@", 0.99),
    **dict.fromkeys("ABCDGHKNOPQRSUVXYZ=+<>~&", 0.84),
}
"""Advance widths in sizes, rounded up from DejaVu Sans, a wide one among the common sans serifs."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a text is at most in a common sans serif of this size."""
    widths = sum(_WIDTHS.get(char, 0.65 if char.isascii() else 0.99) for char in text)
    return size * widths * (1.12 if bold else 1.0)


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Return a text in lines that are at most this wide; a single word may be wider."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, bold=bold) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def hatch(pattern: str, box: Box, colour: str, gap: float = 7.0) -> Lines:
    """Return the lines of a pattern, cut at a box's edges.

    Args:
        pattern: `rising`, `falling`, `cross`, `rows` or `columns`.
        box: the area to cover.
        colour: of the lines.
        gap: between lines, about; along the box's sides.

    Raises:
        ValueError: there is no such pattern.
    """
    left, top, right, bottom = box
    if pattern == "rows":
        return Lines(tuple(((left, y), (right, y)) for y in _steps(top, bottom, gap)), colour)
    if pattern == "columns":
        return Lines(tuple(((x, top), (x, bottom)) for x in _steps(left, right, gap)), colour)
    if pattern not in ("rising", "falling", "cross"):
        raise ValueError(f"no pattern {pattern!r}")
    lines: list[tuple[Point, ...]] = []
    for offset in _steps(0.0, right - left + bottom - top, gap):
        # Down and to the left from the upper edge; mirrored for the other direction.
        start = (left + min(offset, right - left), top + max(0.0, offset - (right - left)))
        stop = (left + max(0.0, offset - (bottom - top)), top + min(offset, bottom - top))
        if pattern in ("rising", "cross"):
            lines.append((start, stop))
        if pattern in ("falling", "cross"):
            lines.append(tuple((left + right - x, y) for x, y in (start, stop)))
    return Lines(tuple(lines), colour)


def _steps(low: float, high: float, gap: float) -> list[float]:
    count = max(2, round((high - low) / gap))
    return [low + (high - low) * (step + 0.5) / count for step in range(count)]
