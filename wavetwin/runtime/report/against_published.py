"""Runs beside the published figures of the same model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.published import (
    SHIFT_UNIT,
    PublishedModel,
    find_published,
    find_published_by_model,
    published_tables,
)
from wavetwin.runtime.report.baseline import PUBLISHED_SHIFT
from wavetwin.runtime.report.figures import (
    Form,
    in_form,
    normalised_words,
    record_words,
    split_words,
    with_interval,
)
from wavetwin.runtime.report.overview import curve_of
from wavetwin.runtime.report.page import Curve, Section
from wavetwin.runtime.report.runs import Record, Run

__all__ = ["Match", "match_published", "published_curves", "published_sections"]

_ERRORS = ("top1_error", "top5_error")
_GAMMA, _OPTIMIZER, _SCHEDULE = 0.1, "sgd", "step"
"""Common to all published trainings, so their figures do not repeat it."""


@dataclass(frozen=True)
class Match:
    """The published model that a run is set against, and why that one."""

    model: PublishedModel
    reason: str


@dataclass(frozen=True)
class _Row:
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


def match_published(run: Run) -> Match | None:
    """Return the published model of a run: the one whose spec describes the same model.

    Failing that, the one of the run's name: then the report says that the models differ.
    """
    model = find_published_by_model(run.plan["model_digest"])
    if model is not None:
        return Match(model, f"its model is that of {model.name}, by the model digest")
    model = find_published(run.name)
    if model is not None:
        reason = "by the run's name alone: its model digest is another one, so the models differ"
        return Match(model, reason)
    return None


def published_curves(runs: Sequence[Run], colours: Sequence[str]) -> dict[str, list[Curve]]:
    """Return the dashed curves of the runs' published models, by the title of their plot."""
    curves: dict[str, list[Curve]] = {"training loss": [], "validation error": []}
    drawn: set[str] = set()
    for run, colour in zip(runs, colours, strict=True):
        match = match_published(run)
        if match is None or match.model.name in drawn:
            continue
        drawn.add(match.model.name)
        for title, values in (
            ("training loss", match.model.train_loss),
            ("validation error", match.model.validation_top1_error),
        ):
            points = [(float(epoch), value) for epoch, value in enumerate(values, 1)]
            curves[title].append(Curve(points, colour, is_dashed=True))
    return curves


def published_sections(runs: Sequence[Run]) -> list[Section]:
    """Return a section a run that has a published model, and the seeds' other tables."""
    sections = [Section("Against the published figures", remarks=_remarks(runs))]
    for run in runs:
        match = match_published(run)
        if match is None:
            continue
        header = ["", "measured [95 %]", "published", "difference", "poster"]
        remarks = [f"matched {match.reason}", *_differences(run, match.model)]
        rows = [row.cells() for row in _rows(run, match.model)]
        title = f"{run.label} and the published {match.model.name}"
        sections.append(Section(title, header, rows, remarks, level=3))
    for dataset in sorted({run.plan["data"]["dataset"] for run in runs}):
        sections += _seed_tables(dataset)
    return sections


def _remarks(runs: Sequence[Run]) -> list[str]:
    without = [run.label for run in runs if match_published(run) is None]
    return [
        "published: the stored metrics of seed 000's classifiers, one trained instance each; "
        "poster: seed 003, other trained instances in part",
        "published flip rates and KL divergences are of images that were not normalised; a run's "
        "are normalised as in training unless its entry says `normalise: false`, and rows say which",
        "steps agree: at step s of both, the share of pairs of frames s pixels apart whose first "
        "guesses differ, of images moved by up to 8 pixels; KL at k pixels of both is the mean of "
        "KL(p_0 || p_k)",
        "the published training loss is as its code recorded it; a run's is the mean "
        "cross-entropy over the epoch",
        *(f"no published model: {label}" for label in without),
    ]


def _differences(run: Run, model: PublishedModel) -> list[str]:
    """Return what of the training differs from the published one; one line, saying so if nothing."""
    plan: Mapping[str, Any] = run.plan
    data, optimizer, schedule = plan["data"], plan["optimizer"], plan["schedule"]
    penalty = plan["regularisation"]
    per_epoch = plan["iterations_per_epoch"]
    pairs = {
        "data set": (data["dataset"], model.dataset),
        "epochs": (plan["epochs"], model.epochs),
        "batch size": (plan["batch_size"], model.batch_size),
        "batch accumulation": (plan["accumulate"], model.batch_accumulation),
        "optimizer": (optimizer["name"], _OPTIMIZER),
        "learning rate": (optimizer["lr"], model.lr),
        "momentum": (optimizer["momentum"], model.momentum),
        "weight decay": (optimizer["weight_decay"], model.weight_decay),
        "schedule": (schedule["name"], _SCHEDULE),
        "epochs a learning rate lasts": (schedule["step_epochs"], model.step_epochs),
        "factor of the learning rate": (schedule["gamma"], _GAMMA),
        "lambdas": (
            None if penalty is None else tuple(penalty["lambdas"]),
            model.lambdas,
        ),
        "precision": (plan["precision"], "float32"),
        "iterations": (
            model.iterations if per_epoch is None else per_epoch * plan["epochs"],
            model.iterations,
        ),
    }
    differing = [
        f"{name} {_plain(own)} instead of {_plain(published)}"
        for name, (own, published) in pairs.items()
        if own != published
    ]
    if run.trial:
        differing.append("a trial over a few batches an epoch")
    if not differing:
        return ["trained as published"]
    return [f"trained otherwise than published: {'; '.join(differing)}"]


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return "none" if value is None else str(value)


def _rows(run: Run, model: PublishedModel) -> Iterator[_Row]:
    trainable = float(run.manifest["parameters"]["trainable"])
    published = float(model.trainable_parameters)
    yield _Row("trainable parameters", trainable, published, "count")
    yield from _training_rows(run, model)
    # Errors come first, whatever the order of the battery.
    for record in run.scores:
        if record["entry"]["mode"] in ("one_crop", "ten_crops"):
            yield from _crop_rows(record, model)
    for record in run.scores:
        match record["entry"]["mode"]:
            case "shifts":
                yield from _shift_rows(record, model)
            case "corruptions":
                yield from _corruption_rows(record, model)
            case "perturbations":
                yield from _perturbation_rows(record, model)
            case _:
                pass


def _training_rows(run: Run, model: PublishedModel) -> Iterator[_Row]:
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
            yield _Row(f"{title} after epoch {epoch}", own[epoch], published[epoch - 1], form)


def _crop_rows(record: Record, model: PublishedModel) -> Iterator[_Row]:
    entry, intervals = record["entry"], record.get("intervals") or {}
    mode, split = entry["mode"], entry.get("split") or "test"
    prefix = "" if mode == "one_crop" else "ten_crops_"
    crops = "" if mode == "one_crop" else ", ten crops"
    for name in _ERRORS:
        published = model.error(mode, split, name)
        if published is not None:
            words = f"{name[:3]}-{name[3]} error{crops}{split_words(entry)}{record_words(record)}"
            poster = _poster(model).get(prefix + name) if split == "test" else None
            yield _Row(
                words, record["scores"][name], published, "rate", intervals.get(name), poster
            )


def _shift_rows(record: Record, model: PublishedModel) -> Iterator[_Row]:
    entry, scores = record["entry"], record["scores"]
    intervals: dict[str, Any] = record.get("intervals") or {}
    split, direction = entry.get("split") or "test", entry["direction"]
    words = f"{direction}{split_words(entry)}, " + (
        "normalised" if entry.get("normalise", True) else "not normalised"
    )
    if entry["max_shift"] != PUBLISHED_SHIFT:
        words += f", moved by up to {entry['max_shift']} px"
    words += record_words(record)
    divide = entry.get("pixel_divide", 1)
    if "kl_divergence" in scores:
        published = model.divergences(direction, split)
        ends = intervals.get("kl_divergence")
        values = scores["kl_divergence"]
        for pixels in range(1, entry["max_shift"] + 1):
            if SHIFT_UNIT * pixels < len(published) and not isinstance(values[0], list):
                yield _Row(
                    f"KL at {pixels} px, {words}",
                    values[pixels * divide],
                    published[SHIFT_UNIT * pixels],
                    "number",
                    None if ends is None else ends[pixels * divide],
                )
    elif divide == 1:
        published_rates = model.flip_rates(direction, split)
        common = [step for step in scores["flip_rate"] if int(step) in published_rates]
        if set(map(str, published_rates)) == set(scores["flip_rate"]):
            mean = sum(published_rates.values()) / len(published_rates)
            name = f"mean flip rate, {words}"
            interval = intervals.get("mean_flip_rate")
            yield _Row(name, scores["mean_flip_rate"], mean, "rate", interval)
        for step in common:
            yield _Row(
                f"flip rate at step {step}, {words}",
                scores["flip_rate"][step],
                published_rates[int(step)],
                "rate",
                intervals.get("flip_rate", {}).get(step),
            )


def _corruption_rows(record: Record, model: PublishedModel) -> Iterator[_Row]:
    published = model.corruption_errors()
    suffix = normalised_words(record["entry"]) + record_words(record)
    for name, errors in record["scores"]["top1_error"].items():
        common = [step for step in errors if int(step) in published.get(name, {})]
        if common:
            own = sum(errors[step] for step in common) / len(common)
            other = sum(published[name][int(step)] for step in common) / len(common)
            words = f"top-1 error, {name.replace('_', ' ')}, mean of severities {', '.join(common)}"
            yield _Row(words + suffix, own, other, "rate")


def _perturbation_rows(record: Record, model: PublishedModel) -> Iterator[_Row]:
    published = model.perturbation_rates()
    suffix = normalised_words(record["entry"]) + record_words(record)
    intervals: dict[str, Any] = (record.get("intervals") or {}).get("flip_rate", {})
    for name, rate in record["scores"]["flip_rate"].items():
        if name in published:
            words = f"flip rate between frames, {name.replace('_', ' ')}{suffix}"
            yield _Row(words, rate, published[name][1], "rate", intervals.get(name))


def _poster(model: PublishedModel) -> dict[str, float]:
    """Return the figures of the seeds' tables that name a model."""
    rows = [table.row_of(model.name) for table in published_tables()]
    return {column: value for row in rows for column, value in row.items()}


def _seed_tables(dataset: str) -> list[Section]:
    """Return the seeds' tables of a data set as they are."""
    sections: list[Section] = []
    for table in published_tables():
        if table.dataset == dataset:
            header = ["", *(column.replace("_", " ") for column in table.columns)]
            rows = [
                [label + (f" ({model})" if model else "")]
                + ["" if value is None else in_form(value, "rate") for value in values]
                for label, model, values in table.rows
            ]
            remarks = [remark for remark in (table.source, table.note) if remark]
            sections.append(Section(f"Published: {table.title}", header, rows, remarks, level=3))
    return sections
