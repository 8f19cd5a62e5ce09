"""Draw what shifting the images changes: flip rates and KL divergence, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wavetwin.explain.html import figure, fill, table
from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series, draw_plot
from wavetwin.explain.report.baseline import PUBLISHED_SHIFT
from wavetwin.explain.report.curves import published_looks, run_key
from wavetwin.explain.report.figures import (
    Form,
    normalised_label,
    record_label,
    shift_label,
    split_label,
    with_interval,
)
from wavetwin.explain.report.page import Part, with_intervals
from wavetwin.explain.report.runs import Record, Run, entry_of
from wavetwin.ir.evaluations import ShiftMetric, Shifts
from wavetwin.published import SHIFT_UNIT, PublishedModel

__all__ = ["shift_plots", "shifts_part"]


@dataclass(frozen=True)
class _Curve:
    """One run's curve: (pixels, value, interval)."""

    run: int
    points: list[tuple[float, float, Sequence[float] | None]]


@dataclass(frozen=True)
class _Family:
    """Curves that may stand in one plot: of one metric, and of images treated alike."""

    metric: ShiftMetric
    caption: str
    direction: str
    split: str
    curves: list[_Curve]


def shifts_part(runs: Sequence[Run]) -> Part | None:
    """Return the curves of every kind of shifts, with their numbers; None where no run has any."""
    families = _families(runs)
    if not families:
        return None
    published = published_looks(runs)
    figures: list[Markup] = []
    numbers: list[tuple[str, Markup]] = []
    for family in families:
        title = _title(family)
        figures.append(figure(Markup(draw_plot(_plot(family, runs, published))), title))
        numbers.append(_numbers(family, runs, title))
    remarks = [
        "bars and brackets: 95 % intervals over images",
        "flip rate at a shift of s: the share of pairs of frames s apart whose top predictions differ; "
        "KL at s: the mean over images of KL(p0 || ps), p0 the prediction for the unmoved image; "
        "of moves in both directions, the diagonal",
    ]
    if published:
        remarks.append(
            f"published: images moved by up to {PUBLISHED_SHIFT} pixels and not normalised, whatever "
            "the runs' were; no intervals were published"
        )
    remarks += [
        f"no shift scores: {run.label}"
        for number, run in enumerate(runs)
        if not any(curve.run == number for family in families for curve in family.curves)
    ]
    key = run_key(runs, published)
    return Part("shifts", "Shifts", fill("report_parts", "shifts", key, figures, numbers, remarks))


def shift_plots(runs: Sequence[Run]) -> list[LinePlot]:
    """Return the plots of every kind of shifts that a run has scores of."""
    published = published_looks(runs)
    return [_plot(family, runs, published) for family in _families(runs)]


def _title(family: _Family) -> str:
    return f"{family.metric.label}, {family.caption}"


def _families(runs: Sequence[Run]) -> list[_Family]:
    found: dict[tuple[str, str], _Family] = {}
    for number, run in enumerate(runs):
        for record in run.scores:
            entry = entry_of(record)
            if not isinstance(entry, Shifts):
                continue
            caption = shift_label(entry) + split_label(entry)
            caption += normalised_label(entry) + record_label(record)
            family = found.setdefault(
                (entry.metric, caption),
                _Family(entry.measure, caption, entry.direction, entry.split, []),
            )
            family.curves.append(_Curve(number, _points(entry, record)))
    return sorted(found.values(), key=lambda family: family.metric.name)


def _points(entry: Shifts, record: Record) -> list[tuple[float, float, Sequence[float] | None]]:
    """Return (pixels, value, interval) by rising shift."""
    divide = entry.pixel_divide
    values: Any = record["scores"][entry.metric]
    intervals: Any = (record.get("intervals") or {}).get(entry.metric)
    if isinstance(values, Mapping):
        return [
            (int(step) / divide, float(rate), None if intervals is None else intervals.get(step))
            for step, rate in sorted(values.items(), key=lambda item: int(item[0]))
        ]
    return [
        (
            position / divide,
            _diagonal(value, position),
            None if intervals is None else _of_grid(intervals[position], value, position),
        )
        for position, value in enumerate(values)
    ]


def _diagonal(value: Any, position: int) -> float:
    return float(value[position] if isinstance(value, list) else value)


def _of_grid(interval: Any, value: Any, position: int) -> Sequence[float] | None:
    return interval[position] if isinstance(value, list) else interval


def _plot(
    family: _Family, runs: Sequence[Run], published: Sequence[tuple[Look, PublishedModel]]
) -> LinePlot:
    series = [
        Series(
            runs[curve.run].label,
            [(pixels, value) for pixels, value, _ in curve.points],
            Look(curve.run),
            [interval for _, _, interval in curve.points],
        )
        for curve in family.curves
    ]
    series += [
        Series(model.name, points, look)
        for look, model in published
        for points in [_published_points(model, family)]
    ]
    metric = family.metric
    title = _title(family)
    return LinePlot(
        title, metric.across, metric.up, series, is_rate=metric.compares_steps, from_zero=True
    )


def _published_points(model: PublishedModel, family: _Family) -> list[tuple[float, float]]:
    if family.metric.compares_steps:
        rates = model.flip_rates(family.direction, family.split)
        return [(float(step), rate) for step, rate in rates.items()]
    divergences = model.divergences(family.direction, family.split)
    return [(position / SHIFT_UNIT, value) for position, value in enumerate(divergences)]


def _numbers(family: _Family, runs: Sequence[Run], title: str) -> tuple[str, Markup]:
    """Return the caption of the table of a family's numbers, and the table."""
    form: Form = "rate" if family.metric.compares_steps else "number"
    pixels = sorted({pixels for curve in family.curves for pixels, _, _ in curve.points})
    columns = [
        {at: with_interval(value, interval, form) for at, value, interval in curve.points}
        for curve in family.curves
    ]
    header = ["shift, px", *(runs[curve.run].label for curve in family.curves)]
    rows = [[f"{at:g}", *(column.get(at, "") for column in columns)] for at in pixels]
    caption = f"{title}, with 95 % intervals"
    return caption, table(caption, header, with_intervals(rows), has_heading=True)
