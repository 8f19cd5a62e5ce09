"""Write the page of a sweep: its table, its points over parallel axes, and each field by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from wavetwin.compiler.sweep.members import CheckedSweep
from wavetwin.compiler.sweep.space import SweptField, Value
from wavetwin.explain.html import figure, remark, render_page, table
from wavetwin.explain.pictures.colours import heat
from wavetwin.explain.pictures.parallel_axes import Axis, AxisPoint, draw_against, draw_parallel
from wavetwin.explain.pictures.svg import render_svg
from wavetwin.ir.sweeps.objectives import OBJECTIVES, Objective
from wavetwin.ir.sweeps.ranges import ListedRange
from wavetwin.sweep.course import Course, Progress
from wavetwin.sweep.result_table import best_point, result_rows, summary_lines

__all__ = ["sweep_page"]

_MANY_TICKS = 9


def sweep_page(checked: CheckedSweep, course: Course) -> str:
    """Return one HTML document on what a sweep has found."""
    file = checked.file
    head, *rows = result_rows(checked, course)
    best = best_point(course)
    said = summary_lines(checked, course)
    parts = [remark(f"{name}: {text}" if name else text) for name, text in said]
    classes = ["added" if best is not None and row[1] == str(best.number) else "" for row in rows]
    if rows:
        # A row is headed by its point.
        order = (2, 0, 1, *range(3, len(head)))
        cells = [[row[column] for column in order] for row in rows]
        parts.append(
            table("Points", [head[column] for column in order], cells, row_classes=classes)
        )
    parts += _figures(checked, course)
    title = f"Sweep {file.name} of {file.spec.base}"
    return render_page(title, body=Markup("").join(parts))


def _figures(checked: CheckedSweep, course: Course) -> list[Markup]:
    """Return the pictures, where points with scores differ in some field."""
    objective = OBJECTIVES[checked.file.spec.objective]
    scored = [
        each
        for each in course.points
        if each.outcome is not None and each.outcome.values and math.isfinite(each.outcome.mean)
    ]
    fields = [each for each in checked.space.fields if each.varies]
    if not scored or not fields:
        return []
    scale = _score_axis(objective, [_mean(each) for each in scored])
    best = best_point(course)
    drawn = [_axis_point(each, fields, scale, is_best=each is best) for each in scored]
    axes = [*map(_field_axis, fields), scale.axis]
    whole = draw_parallel("Points over their values and their score", axes, drawn)
    note = "Dark lines have better scores, the thick one is the best; dashed points were paused."
    found = [figure(Markup(render_svg(whole)), f"A line a point. {note}")]
    for number, field in enumerate(fields):
        pairs = [replace(each, shares=(each.shares[number], each.shares[-1])) for each in drawn]
        title = f"{objective.name} over {field.path}"
        picture = draw_against(title, _field_axis(field), scale.axis, pairs)
        found.append(
            figure(
                Markup(render_svg(picture)), f"{title}: a dot a point, hollow where it was paused"
            )
        )
    return found


class _Scale:
    """The axis of scores: the best one is above."""

    def __init__(self, axis: Axis, low: float, high: float) -> None:
        self.axis, self._low, self._high = axis, low, high

    def share(self, value: float) -> float:
        """Return where a score stands."""
        return (self._high - value) / (self._high - self._low)


def _score_axis(objective: Objective, values: Sequence[float]) -> _Scale:
    low, high = min(values), max(values)
    high = high if high > low else low + (abs(low) or 1.0)
    ticks = tuple(
        (share, objective.shown(high - share * (high - low)))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return _Scale(Axis(objective.name, ticks), low, high)


def _mean(progress: Progress) -> float:
    assert progress.outcome is not None
    return progress.outcome.mean


def _axis_point(
    progress: Progress, fields: Sequence[SweptField], scale: _Scale, *, is_best: bool
) -> AxisPoint:
    share = scale.share(_mean(progress))
    values = {field.path: value for field, value in progress.point.point.values}
    return AxisPoint(
        progress.point.label,
        (*(_share(field, values[field.path]) for field in fields), share),
        heat(1.0 - share, 0.0, 1.25),
        is_whole=progress.state == "complete",
        is_marked=is_best,
    )


def _field_axis(field: SweptField) -> Axis:
    known = field.range
    name = field.path.rpartition(".")[2]
    if isinstance(known, ListedRange):
        count = len(known.values)
        step = max(1, math.ceil(count / _MANY_TICKS))
        texts = [(number, field.item(number).text) for number in range(0, count, step)]
        return Axis(
            name, tuple((_place(number, count), _shortened(text)) for number, text in texts)
        )
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return Axis(name, tuple((share, f"{known.value(share):.3g}") for share in shares))


def _share(field: SweptField, value: Value) -> float:
    known = field.range
    if isinstance(known, ListedRange):
        return _place(field.position(value), len(known.values))
    if known.is_logarithmic:
        low, high = math.log(known.low), math.log(known.high)
        return (math.log(value.plain) - low) / (high - low)
    return (value.plain - known.low) / (known.high - known.low)


def _place(number: int, count: int) -> float:
    return number / (count - 1) if count > 1 else 0.5


def _shortened(text: str) -> str:
    return text if len(text) <= 12 else f"{text[:11]}\N{HORIZONTAL ELLIPSIS}"
