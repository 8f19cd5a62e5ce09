"""Draw points with several values: as lines over parallel axes, or one value against another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavetwin.explain.pictures.colours import FAINT, FRAME, INK
from wavetwin.explain.pictures.shapes import Drawing, Lines, Rectangle, Shape, Text, text_width

__all__ = ["Axis", "AxisPoint", "draw_against", "draw_parallel"]

_SIZE = 12.0
_TOP, _BOTTOM = 44.0, 14.0
_HEIGHT = 200.0
"""Of an axis."""
_GAP = 150.0
"""Between two axes, at least."""
_LEFT = 70.0
_DOT = 5.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that points have a value of."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    """Positions from 0 (the lower end) to 1, with what stands there."""


@dataclass(frozen=True, slots=True)
class AxisPoint:
    """A point."""

    label: str
    shares: tuple[float, ...]
    """On each axis, from 0 to 1."""
    colour: str
    is_whole: bool = True
    """Others are drawn with dashes, or hollow."""
    is_marked: bool = False
    """Whether it stands out."""


def draw_parallel(title: str, axes: Sequence[Axis], points: Sequence[AxisPoint]) -> Drawing:
    """Return a line for each point over axes that stand side by side; marked points lie on top."""
    gap = max(_GAP, *(text_width(axis.title, _SIZE) + 16 for axis in axes))
    shapes: list[Shape] = []
    for point in sorted(points, key=lambda each: each.is_marked):
        path = tuple((_LEFT + gap * at, _y(share)) for at, share in enumerate(point.shares))
        shapes.append(
            Lines((path,), point.colour, 3.2 if point.is_marked else 1.3, dashed=not point.is_whole)
        )
    for at, axis in enumerate(axes):
        shapes += _upright(axis, _LEFT + gap * at)
    width = _LEFT + gap * (len(axes) - 1) + _LEFT + 10
    return Drawing(width, _TOP + _HEIGHT + _BOTTOM, title, tuple(shapes))


def draw_against(title: str, across: Axis, up: Axis, points: Sequence[AxisPoint]) -> Drawing:
    """Return a dot for each point: its second share over its first one."""
    width = 250.0
    left = 12 + max(text_width(text, _SIZE) for _, text in up.ticks)
    base = _y(0.0)
    shapes: list[Shape] = [
        Lines((((left, base), (left + width, base)),), FRAME),
        Text(left + width / 2, base + 36, across.title, _SIZE, INK, "middle"),
    ]
    for share, text in across.ticks:
        x = left + 12 + share * (width - 24)
        shapes.append(Lines((((x, base), (x, base + 4)),), FRAME))
        shapes.append(Text(x, base + 17, text, _SIZE, FAINT, "middle"))
    shapes += _upright(up, left, text_at=left)
    for point in sorted(points, key=lambda each: each.is_marked):
        x, y = left + 12 + point.shares[0] * (width - 24), _y(point.shares[1])
        size = 1.6 * _DOT if point.is_marked else _DOT
        shapes.append(
            Rectangle(
                x - size / 2,
                y - size / 2,
                size,
                size,
                fill=point.colour if point.is_whole else None,
                stroke=point.colour,
                radius=size / 2,
                title=point.label,
            )
        )
    return Drawing(left + width + 12, base + 44, title, tuple(shapes))


def _y(share: float) -> float:
    return _TOP + (1.0 - share) * _HEIGHT


def _upright(axis: Axis, x: float, text_at: float | None = None) -> Iterator[Shape]:
    """Yield an axis that stands: its line, what stands at its ticks, its title above."""
    yield Lines((((x, _y(0.0)), (x, _y(1.0))),), INK, 1.2)
    for share, text in axis.ticks:
        yield Lines((((x - 4, _y(share)), (x, _y(share))),), INK)
        yield Text(x - 7, _y(share) + 4, text, _SIZE, INK, "end", halo="#ffffff")
    anchor = "middle" if text_at is None else "start"
    yield Text(x if text_at is None else 2.0, _TOP - 18, axis.title, _SIZE, INK, anchor, bold=True)
