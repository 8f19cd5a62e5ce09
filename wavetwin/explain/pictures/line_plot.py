"""Draw line plots as SVG: axes with units, intervals, a marker of its own for each run.

A run keeps its marker and colour in every plot; what was published has a dashed line and hollow
markers, so that nothing is shown by colour alone. 360 units wide: the text is as large on a phone
as on a desk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavetwin.explain.pictures.svg import escaped

__all__ = ["LinePlot", "Look", "Series", "draw_plot", "key_of"]

COLOURS = ("#1b6ca8", "#c8553d", "#3c7d3e", "#7a4fa3", "#8a6d1d", "#2a8c8c", "#a83279", "#555555")
_WIDTH, _HEIGHT = 360.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 8.0, 10.0, 40.0
_MOST_MARKERS = 8
_SHAPES = (
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0Z",
    "M-3.3 -3.3H3.3V3.3H-3.3Z",
    "M0 -4.2L4 3.2H-4Z",
    "M0 -4.6L4.2 0L0 4.6L-4.2 0Z",
    "M0 4.2L4 -3.2H-4Z",
    "M-1.4 -4.2H1.4V-1.4H4.2V1.4H1.4V4.2H-1.4V1.4H-4.2V-1.4H-1.4Z",
    "M0 -4.6L1.4 -1.5L4.5 -1.4L2 .6L2.8 3.8L0 2L-2.8 3.8L-2 .6L-4.5 -1.4L-1.4 -1.5Z",
)
"""Markers: circle, square, triangle, diamond, triangle down, cross, star."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a run is drawn: its number, from 0, and whether its published model is meant."""

    number: int
    is_published: bool = False

    @property
    def colour(self) -> str:
        """Of the line; its contrast on paper is 4 or more, and figures need 3."""
        return COLOURS[self.number % len(COLOURS)]

    def marker(self, x: float, y: float) -> str:
        """Return the marker at a point, hollow where it is a published one's."""
        shape = _SHAPES[self.number % len(_SHAPES)]
        fill = "#ffffff" if self.is_published else self.colour
        return (
            f'<path d="{shape}" transform="translate({x:.1f} {y:.1f})" fill="{fill}" '
            f'stroke="{self.colour}" stroke-width="1.2"/>'
        )

    @property
    def stroke(self) -> str:
        """The attributes of its lines."""
        dashes = ' stroke-dasharray="5 3"' if self.is_published else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="1.6"{dashes}'


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]
    """(x, y), by rising x."""
    look: Look
    intervals: Sequence[Sequence[float] | None] = ()
    """Of each point, [low, high]; empty: of none."""


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Lines over one axis, both axes from their least tick."""

    title: str
    across: str
    """What the horizontal axis shows, with its unit; so does `up`."""
    up: str
    series: Sequence[Series]
    is_rate: bool = False
    """Shares between 0 and 1, written as percentages."""
    from_zero: bool = False
    """Whether the horizontal axis begins at 0; else at the first point."""


def draw_plot(plot: LinePlot) -> str:
    """Return the plot as an `<svg>` element, or nothing where no line has a finite point."""
    drawn = [series for series in plot.series if any(_finite(series))]
    if not drawn:
        return ""
    points = [point for series in drawn for point in _finite(series)]
    ends = [end for series in drawn for pair in series.intervals if pair for end in pair]
    first = 0.0 if plot.from_zero else min(x for x, _ in points)
    last = max(max(x for x, _ in points), first + 1e-9)
    top_value = max(max(y for _, y in points), max(ends, default=0.0))
    ticks = _ticks(top_value or 1.0)
    frame = _Frame(first, last, ticks[-1])
    parts = [
        *_axes(frame, plot, ticks),
        *(mark for series in drawn for mark in _line(frame, series)),
    ]
    title = escaped(plot.title)
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'role="img" aria-label="{title}" font-size="12"><title>{title}</title>'
        f"<desc>{escaped(_description(plot, drawn))}</desc>{''.join(parts)}</svg>"
    )


def key_of(entries: Sequence[tuple[Look, str]], *, has_lines: bool = True) -> str:
    """Return the list of what lines and markers, or markers alone, stand for, as HTML."""
    width = 44 if has_lines else 14
    items = [
        f'<li><svg viewBox="0 0 {width} 14" width="{width}" height="14" aria-hidden="true">'
        + (f'<path d="M2 7H42" {look.stroke}/>' if has_lines else "")
        + f"{look.marker(width / 2, 7.0)}</svg>{escaped(label)}</li>"
        for look, label in entries
    ]
    return f'<ul class="key">{"".join(items)}</ul>'


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle that is drawn in, and what it shows; the vertical axis begins at 0."""

    first: float
    last: float
    top: float

    def x(self, value: float) -> float:
        share = (value - self.first) / (self.last - self.first)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def _finite(series: Series) -> Iterator[tuple[float, float]]:
    return ((x, y) for x, y in series.points if math.isfinite(y))


def _ticks(top: float) -> list[float]:
    """Return four to six round numbers from 0 to the first that is not below `top`."""
    rough = top / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in (1, 2, 2.5, 5, 10) if unit * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(top / step * 0.999) + 1)]


def _axes(frame: _Frame, plot: LinePlot, ticks: Sequence[float]) -> Iterator[str]:
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick in ticks:
        y = frame.y(tick)
        yield f'<path d="M{_LEFT:g} {y:.1f}H{right:g}" stroke="#d5d8dc" stroke-width=".8"/>'
        yield _text(_LEFT - 6, y + 4, _written(tick, ticks[1], plot.is_rate), "end")
    for tick in _across_ticks(frame):
        x = frame.x(tick)
        yield f'<path d="M{x:.1f} {base:g}v4" stroke="#1b1d20"/>'
        yield _text(x, base + 17, f"{tick:g}", "middle")
    yield f'<path d="M{_LEFT:g} {base:g}H{right:g}" stroke="#1b1d20" stroke-width="1.2"/>'
    yield _text((_LEFT + right) / 2, _HEIGHT - 6, plot.across, "middle")
    middle = (_TOP + base) / 2
    yield (
        f'<text transform="translate(12 {middle:g}) rotate(-90)" text-anchor="middle" '
        f'fill="#1b1d20">{escaped(plot.up)}</text>'
    )


def _text(x: float, y: float, label: str, anchor: str) -> str:
    position = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {position} fill="#1b1d20">{escaped(label)}</text>'


def _across_ticks(frame: _Frame) -> list[float]:
    """Return the whole numbers to write below the axis, eight at most."""
    first, last = math.ceil(frame.first - 1e-6), math.floor(frame.last + 1e-6)
    span = max(1, last - first)
    step = next(
        unit * 10**power for power in range(9) for unit in (1, 2, 5) if span <= 7 * unit * 10**power
    )
    ticks = [float(tick) for tick in range(first, last + 1) if tick % step == 0]
    return ticks if ticks and (ticks[0] == first or first == 0) else [float(first), *ticks]


def _written(value: float, step: float, is_rate: bool) -> str:
    """Return a tick with as many digits as its step needs."""
    if is_rate:
        value, step = 100 * value, 100 * step
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1
    return f"{value:.{digits}f}" + (" %" if is_rate else "")


def _line(frame: _Frame, series: Series) -> Iterator[str]:
    """Yield a line, its intervals and its markers; a value that is not finite breaks it."""
    look = series.look
    for index, interval in enumerate(series.intervals):
        if interval is not None:
            # Runs are set a little apart, so that their intervals do not cover each other.
            x = frame.x(series.points[index][0]) + 2.2 * ((look.number + 1) // 2) * (
                1 if look.number % 2 else -1
            )
            low, high = (frame.y(end) for end in interval)
            yield (
                f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 2.5:.1f} {low:.1f}h5M{x - 2.5:.1f} '
                f'{high:.1f}h5" stroke="{look.colour}" stroke-width="1.1" fill="none"/>'
            )
    for piece in _pieces(series.points):
        positions = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in piece)
        yield f'<polyline {look.stroke} points="{positions}"/>'
    finite = list(_finite(series))
    every = max(1, math.ceil(len(finite) / _MOST_MARKERS))
    # Each run begins at another point: lines that coincide show the markers of all.
    for x, y in finite[look.number % every :: every]:
        yield look.marker(frame.x(x), frame.y(y))


def _pieces(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    piece: list[tuple[float, float]] = []
    for x, y in points:
        if math.isfinite(y):
            piece.append((x, y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _description(plot: LinePlot, drawn: Sequence[Series]) -> str:
    """Return a sentence on what the lines show."""
    lines: list[str] = []
    for series in drawn:
        points = list(_finite(series))
        (start, first), (end, last) = points[0], points[-1]
        ends = [f"{100 * y:.4g} %" if plot.is_rate else f"{y:.4g}" for y in (first, last)]
        kind = ", published" if series.look.is_published else ""
        lines.append(f"{series.name}{kind}: {ends[0]} at {start:g}, {ends[1]} at {end:g}")
    return f"{plot.up} over {plot.across}. {'; '.join(lines)}."
