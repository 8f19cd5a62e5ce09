"""Make figures of the plots that a report shows: lines with markers and intervals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.explain.paper.figure_files import PaperFigure
from wavetwin.explain.pictures.line_plot import COLOURS, LinePlot, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["line_figures"]

_MARKERS = ("o", "s", "^", "D", "v", "P", "*")
"""As the report's own, in their order."""
_MOST_MARKERS = 8
_SIZE = (3.4, 2.5)
_LEGEND_LINE = 0.16
"""Inches."""


def line_figures(plots: Sequence[LinePlot]) -> list[PaperFigure]:
    """Return a figure of each plot that has points; names come from the titles, each once."""
    figures: list[PaperFigure] = []
    names: dict[str, int] = {}
    for plot in plots:
        series = [each for each in plot.series if each.points]
        if not series:
            continue
        name = re.sub(r"[^a-z0-9]+", "-", plot.title.lower()).strip("-")
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name = f"{name}-{names[name]}"
        figures.append(_figure(name, plot, series))
    return figures


def _figure(name: str, plot: LinePlot, series: Sequence[Series]) -> PaperFigure:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for each in series:
            _draw_series(axes, each)
        axes.set_xlabel(_literal(plot.across))
        axes.set_ylabel(_literal(plot.up))
        if plot.from_zero:
            axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        if plot.is_rate:
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.10g} %")
        axes.grid(axis="y", linewidth=0.3, color="#c0c0c0")
        figure.legend(loc="outside lower center", ncols=1)

    height = _SIZE[1] + _LEGEND_LINE * len(series)
    header = ["series", plot.across, plot.up, "low", "high"]
    return PaperFigure(name, (_SIZE[0], height), draw, header, list(_rows(series)))


def _rows(series: Sequence[Series]) -> list[list[str | float]]:
    rows: list[list[str | float]] = []
    for each in series:
        for number, (x, y) in enumerate(each.points):
            interval = each.intervals[number] if each.intervals else None
            ends: list[str | float] = ["", ""] if interval is None else [*interval]
            rows.append([_named(each), x, y, *ends])
    return rows


def _named(series: Series) -> str:
    return f"published {series.name}" if series.look.is_published else series.name


def _draw_series(axes: Axes, series: Series) -> None:
    look = series.look
    colour = COLOURS[look.number % len(COLOURS)]
    across, up = [x for x, _ in series.points], [y for _, y in series.points]
    axes.plot(
        across,
        up,
        label=_literal(_named(series)),
        color=colour,
        linestyle="--" if look.is_published else "-",
        marker=_MARKERS[look.number % len(_MARKERS)],
        markerfacecolor="white" if look.is_published else colour,
        markevery=max(1, -(-len(up) // _MOST_MARKERS)),
    )
    for x, interval in zip(across, series.intervals, strict=False):
        if interval is not None:
            axes.plot([x, x], [interval[0], interval[1]], color=colour, linewidth=0.7)


def _literal(text: str) -> str:
    """Return a label that matplotlib shows as it is: a dollar sign would begin mathematics."""
    return text.replace("$", r"\$")
