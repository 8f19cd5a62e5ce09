"""Set measured figures of a run beside those that were published, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.explain.report.baseline import PUBLISHED_SHIFT
from wavetwin.explain.report.figures import (
    Form,
    in_form,
    normalised_label,
    record_label,
    split_label,
    with_interval,
)
from wavetwin.explain.report.overview import curve_of
from wavetwin.explain.report.runs import Record, Run, entry_of
from wavetwin.ir.evaluations import (
    Corruptions,
    CropsEvaluation,
    Evaluation,
    Perturbations,
    Shifts,
)
from wavetwin.published import SHIFT_UNIT, PublishedModel, published_tables

__all__ = ["Row", "published_rows"]

_ERRORS = ("top1_error", "top5_error")


@dataclass(frozen=True)
class Row:
    """One figure of both."""

    name: str
    measured: float | None
    published: float
    form: Form
    interval: Sequence[float] | None = None
    poster: float | None = None

    def cells(self) -> list[str]:
        """Return measured, published, difference and the figure of the seeds' tables."""
        own, difference = "", ""
        if self.measured is not None:
            own = with_interval(self.measured, self.interval, self.form)
            difference = in_form(self.measured - self.published, self.form, signed=True)
        poster = "" if self.poster is None else in_form(self.poster, self.form)
        return [self.name, own, in_form(self.published, self.form), difference, poster]


def published_rows(run: Run, model: PublishedModel) -> Iterator[Row]:
    """Yield what both have: parameters, training, errors, shifts, corruptions, perturbations."""
    parameters = run.manifest["parameters"]
    trainable = None if parameters is None else float(parameters["trainable"])
    published = float(model.trainable_parameters)
    yield Row("trainable parameters", trainable, published, "count")
    yield from _training_rows(run, model)
    # Errors come first, whatever the order of the evaluation suite.
    for record in run.scores:
        entry = entry_of(record)
        if isinstance(entry, CropsEvaluation):
            yield from _crop_rows(entry, record, model)
    for record in run.scores:
        entry = entry_of(record)
        for kind, rows in _ROWS.items():
            if isinstance(entry, kind):
                yield from rows(entry, record, model)


def _training_rows(run: Run, model: PublishedModel) -> Iterator[Row]:
    """Yield loss and error at the last epoch that both have."""
    curves: tuple[tuple[str, str, str, Sequence[float] | None, Form], ...] = (
        ("training loss", "train", "loss", model.train_loss, "number"),
        ("validation top-1 error", "validation", "top1_error", model.validation_top1_error, "rate"),
        ("validation top-5 error", "validation", "top5_error", model.validation_top5_error, "rate"),
    )
    for title, part, name, published, form in curves:
        if published is None:
            continue
        own = dict(curve_of(run, part, name))
        common = [int(epoch) for epoch in own if epoch <= len(published)]
        if common:
            epoch = max(common)
            yield Row(f"{title} after epoch {epoch}", own[epoch], published[epoch - 1], form)


def _crop_rows(entry: CropsEvaluation, record: Record, model: PublishedModel) -> Iterator[Row]:
    intervals, split = record.get("intervals") or {}, entry.split
    for name in _ERRORS:
        published = model.error(entry.mode, split, name)
        if published is not None:
            label = f"{name[:3]}-{name[3]} error{entry.crops}{split_label(entry)}"
            label += normalised_label(entry) + record_label(record)
            poster = (
                None if split_label(entry) else _poster(model).get(entry.published_prefix + name)
            )
            yield Row(label, record["scores"][name], published, "rate", intervals.get(name), poster)


def _shift_rows(entry: Shifts, record: Record, model: PublishedModel) -> Iterator[Row]:
    scores = record["scores"]
    intervals: dict[str, Any] = record.get("intervals") or {}
    split, direction = entry.split, entry.direction
    how = normalised_label(entry)
    label = f"{direction}{split_label(entry)}{how if 'normalised' in how else ', normalised' + how}"
    if entry.max_shift != PUBLISHED_SHIFT:
        label += f", moved by up to {entry.max_shift} px"
    label += record_label(record)
    divide = entry.pixel_divide
    if not entry.measure.compares_steps:
        published = model.divergences(direction, split)
        ends = intervals.get(entry.metric)
        values = scores[entry.metric]
        for pixels in range(1, entry.max_shift + 1):
            is_known = SHIFT_UNIT * pixels < len(published) and pixels * divide < len(values)
            if is_known and not isinstance(values[0], list):
                yield Row(
                    f"KL at {pixels} px, {label}",
                    values[pixels * divide],
                    published[SHIFT_UNIT * pixels],
                    "number",
                    None if ends is None else ends[pixels * divide],
                )
    elif divide == 1:
        published_rates = model.flip_rates(direction, split)
        common = [step for step in scores[entry.metric] if int(step) in published_rates]
        if set(map(str, published_rates)) == set(scores[entry.metric]):
            mean = sum(published_rates.values()) / len(published_rates)
            name = f"mean flip rate, {label}"
            interval = intervals.get("mean_flip_rate")
            yield Row(name, scores["mean_flip_rate"], mean, "rate", interval)
        for step in common:
            yield Row(
                f"flip rate at step {step}, {label}",
                scores[entry.metric][step],
                published_rates[int(step)],
                "rate",
                intervals.get(entry.metric, {}).get(step),
            )


def _corruption_rows(entry: Evaluation, record: Record, model: PublishedModel) -> Iterator[Row]:
    published = model.corruption_errors()
    suffix = normalised_label(entry) + record_label(record)
    for name, errors in record["scores"].get("top1_error", {}).items():
        common = [step for step in errors if int(step) in published.get(name, {})]
        if common:
            own = sum(errors[step] for step in common) / len(common)
            other = sum(published[name][int(step)] for step in common) / len(common)
            label = f"top-1 error, {name.replace('_', ' ')}, mean of severities {', '.join(common)}"
            yield Row(label + suffix, own, other, "rate")


def _perturbation_rows(entry: Evaluation, record: Record, model: PublishedModel) -> Iterator[Row]:
    published = model.perturbation_rates()
    suffix = normalised_label(entry) + record_label(record)
    intervals: dict[str, Any] = (record.get("intervals") or {}).get("flip_rate", {})
    for name, rate in record["scores"].get("flip_rate", {}).items():
        if name in published:
            label = f"flip rate between frames, {name.replace('_', ' ')}{suffix}"
            yield Row(label, rate, published[name][1], "rate", intervals.get(name))


_ROWS: dict[type[Evaluation], Callable[[Any, Record, PublishedModel], Iterator[Row]]] = {
    Shifts: _shift_rows,
    Corruptions: _corruption_rows,
    Perturbations: _perturbation_rows,
}
"""What is compared after the errors; of another mode nothing was published."""


def _poster(model: PublishedModel) -> dict[str, float]:
    """Return the figures of the seeds' tables that name a model."""
    rows = [table.row_of(model.name) for table in published_tables()]
    return {column: value for row in rows for column, value in row.items()}
