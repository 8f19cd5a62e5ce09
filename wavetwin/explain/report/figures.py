"""Choose the single figures of a run, with their names, their intervals and how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wavetwin.explain.report.runs import Record, entry_of
from wavetwin.ir.evaluations import (
    CropsEvaluation,
    Evaluation,
    FilesEvaluation,
    Shifts,
    SplitEvaluation,
)

__all__ = [
    "Figure",
    "Form",
    "headline_figures",
    "in_form",
    "normalised_label",
    "own_label",
    "record_label",
    "shift_label",
    "split_label",
    "with_interval",
]

Form = Literal["rate", "percent", "number", "count"]
"""`rate` is a share between 0 and 1, shown as a percentage; `percent` is one already."""


@dataclass(frozen=True)
class Figure:
    """One number under a heading."""

    name: str
    value: float
    interval: Sequence[float] | None = None
    """[low, high] of 95 %."""
    form: Form = "rate"
    definition: str = ""
    """Of a metric of the project's own: what computes it. Two definitions under one name do not compare."""

    def __str__(self) -> str:
        return with_interval(self.value, self.interval, self.form)


def in_form(value: float, form: Form, *, signed: bool = False) -> str:
    """Return a number as a report shows it."""
    sign = "+" if signed else ""
    match form:
        case "rate":
            return f"{value:{sign}z.2%}"
        case "percent":
            return f"{value:{sign}z.1f}%"
        case "count":
            return f"{round(value):{sign},}"
        case "number":
            return f"{value:{sign}z.4f}"


def with_interval(
    value: float, interval: Sequence[float] | None, form: Form, *, signed: bool = False
) -> str:
    """Return a number and its interval: `1.25% [0.90, 1.60]`."""
    text = in_form(value, form, signed=signed)
    if interval is None:
        return text
    ends = ", ".join(in_form(end, form, signed=signed).rstrip("%") for end in interval)
    return f"{text} [{ends}]"


def headline_figures(record: Record) -> Iterator[Figure]:
    """Yield the figures of one entry that stand for all its scores."""
    entry, scores = entry_of(record), record["scores"]
    intervals: dict[str, Any] = record.get("intervals") or {}
    suffix = split_label(entry) + normalised_label(entry) + record_label(record)
    if isinstance(entry, Shifts):
        yield _shifts_figure(entry, scores, intervals, suffix)
    where = f", {entry.root}" if isinstance(entry, FilesEvaluation) else ""
    for row in entry.headline:
        if row.name in scores:
            label, value = f"{row.label}{where}{suffix}", scores[row.name]
            yield Figure(label, value, intervals.get(row.name), row.form)
    if isinstance(entry, CropsEvaluation):
        yield from _own_figures(entry, scores, suffix)


def own_label(entry: CropsEvaluation, name: str) -> str:
    """Return what a metric of the project's own is called, but for which images it is of."""
    return f"{name}{entry.crops}"


def _own_figures(entry: CropsEvaluation, scores: dict[str, Any], suffix: str) -> Iterator[Figure]:
    """Yield metrics of the project's own: numbers of all images, without intervals."""
    found: dict[str, float] = scores.get("metrics", {})
    for metric in entry.metrics:
        if metric.name in found:
            yield Figure(
                own_label(entry, metric.name) + suffix,
                found[metric.name],
                form="number",
                definition=metric.definition,
            )


def _shifts_figure(
    entry: Shifts, scores: dict[str, Any], intervals: dict[str, Any], suffix: str
) -> Figure:
    if entry.measure.compares_steps:
        heading = f"mean flip rate, {shift_label(entry)}{suffix}"
        return Figure(heading, scores["mean_flip_rate"], intervals.get("mean_flip_rate"))
    heading = f"KL at the largest shift, {shift_label(entry)}{suffix}"
    value, ends = scores[entry.metric][-1], intervals.get(entry.metric, [None])[-1]
    if isinstance(value, list):
        value, ends = value[-1], None if ends is None else ends[-1]
    return Figure(heading, value, ends, "number")


def shift_label(entry: Shifts) -> str:
    """Return where the images of an entry are moved, and how far."""
    label = f"{entry.direction} to {entry.max_shift} px"
    if entry.pixel_divide != 1:
        label += f" by 1/{entry.pixel_divide} px"
    if entry.max_step not in (None, entry.max_shift):
        label += f", steps to {entry.max_step}"
    return label


def split_label(entry: Evaluation) -> str:
    """Return `, validation`, or nothing for the test images."""
    is_told = isinstance(entry, SplitEvaluation) and not entry.is_of_test_images
    return f", {entry.images}" if is_told else ""


def normalised_label(entry: Evaluation) -> str:
    """Return `, not normalised` and `, resized in 8 bits`, of what an entry asks for."""
    label = "" if entry.normalise else ", not normalised"
    return label + (", resized in 8 bits" if entry.rounds_to_8_bits else "")


def record_label(record: Record) -> str:
    """Return what a record is of, or nothing where it is of all images and the last weights.

    Headings have it, so that a trial and a result never stand in one column.
    """
    limit, weights = record.get("limit_batches"), record.get("checkpoint", "last")
    label = "" if limit is None else f", {limit} batches only"
    # Weights without a run are of no epoch.
    if weights not in ("last", None):
        label += f", {weights} weights"
    return label + (", without damaged images" if record.get("skipped") else "")
