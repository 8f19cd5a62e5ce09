"""Compute the mean flip rate against a baseline, a run or a published model, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.explain.report.figures import (
    Figure,
    normalised_label,
    record_label,
    split_label,
)
from wavetwin.explain.report.image_values import image_values
from wavetwin.explain.report.runs import Record, Run, entry_of, read_source
from wavetwin.ir.evaluations import Shifts
from wavetwin.published import PublishedModel, find_published, published_models
from wavetwin.runtime.evaluation.intervals import percentiles, resampled_means
from wavetwin.runtime.evaluation.metrics import mfr_against
from wavetwin.runtime.process.errors import RunError

__all__ = ["PUBLISHED_SHIFT", "Baseline", "baseline_figures", "read_baseline"]

DIRECTIONS = ("horizontal", "vertical", "diagonal")
PUBLISHED = "published:"
PUBLISHED_SHIFT = 8
"""Pixels that the published models' images were moved by; none of them was normalised."""


@dataclass(frozen=True)
class Baseline:
    """What runs are set against."""

    source: Run | PublishedModel

    @property
    def label(self) -> str:
        """How headings call it."""
        if isinstance(self.source, PublishedModel):
            return f"published {self.source.name}"
        return self.source.label


def read_baseline(text: str) -> Baseline:
    """Return the baseline that `--baseline` names: a run folder, or `published:NAME`.

    Raises:
        RunError: there is no such run or published model.
    """
    if not text.startswith(PUBLISHED):
        return Baseline(read_source(Path(text)))
    model = find_published(text.removeprefix(PUBLISHED))
    if model is None:
        raise RunError(
            "unknown-name",
            f"no published model is called '{text.removeprefix(PUBLISHED)}'",
            f"there are {list_some(published_models())}",
        )
    return Baseline(model)


def baseline_figures(run: Run, baseline: Baseline) -> list[Figure]:
    """Return a run's mean flip rates in percent of the baseline's, one a kind of shifts.

    Over the directions and steps that both have; the heading names them. A baseline that is a run
    is resampled together with the run, image by image; a published one is taken as exact, and the
    heading says how its images were treated otherwise than the run's.

    Raises:
        RunError: the two have no flip rates in common, a baseline that never flips, or a published
            baseline of another data set.
    """
    _check_dataset(run, baseline)
    figures: list[Figure] = []
    for kind, records in _families(run).items():
        rates = {name: record["scores"]["flip_rate"] for name, record in records.items()}
        other = _baseline_rates(baseline, kind, records)
        common = [name for name in rates if name in other]
        steps = sorted(
            set[str].intersection(*({*rates[name]} & {*other[name]} for name in common))
            if common
            else (),
            key=int,
        )
        if not steps:
            continue
        value = mfr_against(
            {name: {step: rates[name][step] for step in steps} for name in common},
            {name: {step: other[name][step] for step in steps} for name in common},
        )
        averaged = f"{' + '.join(common)}, {_steps_label(steps)}"
        name = f"mFR against {baseline.label}, {averaged}{kind}"
        if isinstance(baseline.source, PublishedModel):
            name += _published_label(_entry_of_shifts(next(iter(records.values()))))
        interval = _interval(run, baseline, records, kind, common, steps, other)
        figures.append(Figure(name, value, interval, "percent"))
    if not figures:
        raise RunError(
            "not-comparable",
            f"{run.label} and {baseline.label} have no flip rates in common",
            "evaluate both with shifts of the same directions and metric: flip_rate, over all "
            "images, with weights of the same name",
        )
    return figures


def _check_dataset(run: Run, baseline: Baseline) -> None:
    """Refuse a published model of other images; those of a run are compared record by record."""
    own, source = run.dataset, baseline.source
    if own is None and isinstance(source, PublishedModel):
        raise RunError(
            "not-comparable",
            f"which data {run.label} was evaluated on is not known: there is no run",
            "name a run or a scores file of scores as the baseline",
        )
    if isinstance(source, PublishedModel) and own != source.dataset:
        there = [model.name for model in published_models().values() if model.dataset == own]
        raise RunError(
            "not-comparable",
            f"is of {own}, and the published {source.name} of {source.dataset}",
            f"published of {own}: {list_some(there)}"
            if there
            else f"no published model is of {own}: name a run as the baseline",
            subject=run.label,
        )


def _published_label(entry: Shifts) -> str:
    """Return how the published images were treated otherwise, in brackets, or nothing."""
    parts: list[str] = []
    if entry.max_shift != PUBLISHED_SHIFT:
        parts.append(f"shifts to {PUBLISHED_SHIFT} px")
    if entry.normalise:
        parts.append("not normalised")
    if not entry.rounds_to_8_bits:
        parts.append("resized in 8 bits")
    return f" (published: {', '.join(parts)})" if parts else ""


def _families(run: Run) -> dict[str, dict[str, Record]]:
    """Return flip-rate records by direction, by a label of what else they must have in common."""
    families: dict[str, dict[str, Record]] = {}
    for record in run.scores:
        entry = entry_of(record)
        if isinstance(entry, Shifts) and entry.measure.compares_steps:
            divide = entry.pixel_divide
            unit = "" if divide == 1 else f", by 1/{divide} px"
            kind = f", shifts to {entry.max_shift} px{unit}"
            kind += split_label(entry) + normalised_label(entry) + record_label(record)
            if entry.direction in DIRECTIONS:
                families.setdefault(kind, {})[entry.direction] = record
    order = {name: position for position, name in enumerate(DIRECTIONS)}
    return {
        kind: dict(sorted(found.items(), key=lambda item: order[item[0]]))
        for kind, found in families.items()
    }


def _entry_of_shifts(record: Record) -> Shifts:
    entry = entry_of(record)
    assert isinstance(entry, Shifts), entry
    return entry


def _baseline_rates(
    baseline: Baseline, kind: str, records: Mapping[str, Record]
) -> dict[str, Mapping[str, float]]:
    source = baseline.source
    if isinstance(source, Run):
        found = _families(source).get(kind, {})
        for name in found.keys() & records.keys():
            if found[name].get("data") != records[name].get("data"):
                raise RunError(
                    "not-comparable",
                    "was evaluated on other data than the runs beside it",
                    "name a baseline that was evaluated on the same images",
                    subject=baseline.label,
                )
        return {name: record["scores"]["flip_rate"] for name, record in found.items()}
    rates: dict[str, Mapping[str, float]] = {}
    for name, record in records.items():
        entry = _entry_of_shifts(record)
        if entry.pixel_divide == 1:
            steps = source.flip_rates(name, entry.split)
            if steps:
                rates[name] = {str(step): rate for step, rate in steps.items()}
    return rates


def _steps_label(steps: Sequence[str]) -> str:
    if len(steps) == 1:
        return f"step {steps[0]}"
    if int(steps[-1]) - int(steps[0]) == len(steps) - 1:
        return f"steps {steps[0]} to {steps[-1]}"
    return f"steps {', '.join(steps)}"


def _interval(
    run: Run,
    baseline: Baseline,
    records: Mapping[str, Record],
    kind: str,
    directions: Sequence[str],
    steps: Sequence[str],
    other: Mapping[str, Mapping[str, float]],
) -> tuple[float, float] | None:
    """Return the 95 % interval over images; None without per-image predictions of the same images.

    None, too, where the baseline flips so rarely that a draw of images has no flip at all.
    """
    own = _mean_shares(run, records, directions, steps)
    if own is None:
        return None
    if isinstance(baseline.source, Run):
        found = _mean_shares(baseline.source, _families(baseline.source)[kind], directions, steps)
        if found is None or len(found) != len(own):
            return None
        means = resampled_means(torch.stack((own, found), dim=1))
        if bool((means[:, 1] == 0).any()):
            return None
        ratios = means[:, 0] / means[:, 1]
    else:
        rates = [other[name][step] for name in directions for step in steps]
        ratios = resampled_means(own.unsqueeze(1))[:, 0] / (sum(rates) / len(rates))
    low, high = percentiles(100 * ratios.unsqueeze(1))
    return float(low), float(high)


def _mean_shares(
    run: Run, records: Mapping[str, Record], directions: Sequence[str], steps: Sequence[str]
) -> Tensor | None:
    """Return each image's flip rate, the mean over directions and steps, (images,)."""
    columns: list[Tensor] = []
    for name in directions:
        found = image_values(run, records[name])
        if found is None:
            return None
        columns += [found.values[f"flip rate, step {step}"] for step in steps]
    return torch.stack(columns, dim=1).mean(1)
