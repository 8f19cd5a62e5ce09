"""Choose the single figures of a run, with their names, their intervals and how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wavetwin.explain.report.runs import Record

__all__ = [
    "Figure",
    "Form",
    "headline_figures",
    "in_form",
    "normalised_label",
    "record_label",
    "shift_label",
    "split_label",
    "with_interval",
]

Form = Literal["rate", "percent", "number", "count"]
"""`rate` is a share between 0 and 1, shown as a percentage; `percent` is one already."""

_IN_PERCENT = ("mce", "mfr", "mt5d")


@dataclass(frozen=True)
class Figure:
    """One number under a heading."""

    name: str
    value: float
    interval: Sequence[float] | None = None
    """[low, high] of 95 %."""
    form: Form = "rate"

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
    entry, scores = record["entry"], record["scores"]
    intervals: dict[str, Any] = record.get("intervals") or {}
    suffix = split_label(entry) + normalised_label(entry) + record_label(record)
    if entry["mode"] in ("one_crop", "ten_crops"):
        crops = "" if entry["mode"] == "one_crop" else ", ten crops"
        for predictions in (1, 5):
            name = f"top{predictions}_error"
            heading = f"top-{predictions} error{crops}{suffix}"
            yield Figure(heading, scores[name], intervals.get(name))
    elif "mean_flip_rate" in scores and entry["mode"] == "shifts":
        heading = f"mean flip rate, {shift_label(entry)}{suffix}"
        yield Figure(heading, scores["mean_flip_rate"], intervals.get("mean_flip_rate"))
    elif "kl_divergence" in scores:
        heading = f"KL at the largest shift, {shift_label(entry)}{suffix}"
        value, ends = scores["kl_divergence"][-1], intervals.get("kl_divergence", [None])[-1]
        if isinstance(value, list):
            value, ends = value[-1], None if ends is None else ends[-1]
        yield Figure(heading, value, ends, "number")
    else:
        where = entry.get("root") or entry["mode"]
        for name, value in scores.items():
            if isinstance(value, float):
                form: Form = "percent" if name in _IN_PERCENT else "rate"
                label = name.upper().replace("MCE", "mCE") if form == "percent" else name
                label = label.replace("MFR", "mFR").replace("MT5D", "mT5D").replace("_", " ")
                yield Figure(f"{label}, {where}{suffix}", value, intervals.get(name), form)


def shift_label(entry: dict[str, Any]) -> str:
    """Return where the images of an entry are moved, and how far."""
    divide = entry.get("pixel_divide", 1)
    label = f"{entry['direction']} to {entry['max_shift']} px"
    if divide != 1:
        label += f" by 1/{divide} px"
    steps = entry.get("max_step")
    if steps is not None and steps != entry["max_shift"]:
        label += f", steps to {steps}"
    return label


def split_label(entry: dict[str, Any]) -> str:
    """Return `, validation`, or nothing for the test images."""
    split = entry.get("split") or "test"
    return "" if split == "test" else f", {split}"


def normalised_label(entry: dict[str, Any]) -> str:
    """Return `, not normalised` and `, resized in 8 bits`, of what an entry asks for."""
    label = "" if entry.get("normalise", True) else ", not normalised"
    return label + (", resized in 8 bits" if entry.get("resize") == "pil" else "")


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
