"""Compare two experiments run by run: every score's difference, paired over images and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from wavetwin.diagnostics.listing import list_some
from wavetwin.explain.report.figures import (
    Figure,
    Form,
    headline_figures,
    in_form,
    normalised_label,
    record_label,
    shift_label,
    split_label,
    with_interval,
)
from wavetwin.explain.report.image_values import ImageValues, image_values
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.runs import Record, Run, entry_of
from wavetwin.ir.evaluations import Shifts, comparison_key
from wavetwin.runtime.evaluation.intervals import PairedDifference, paired_interval
from wavetwin.runtime.process.errors import RunError

__all__ = ["PairedMeasure", "paired_measures", "paired_section", "pairs_of"]

Pair = tuple[Run, Run]


@dataclass(frozen=True, slots=True)
class PairedMeasure:
    """One measure of an entry in two experiments, over the same seeds and images."""

    entry: str
    name: str
    form: Form
    first: float
    second: float
    difference: PairedDifference

    def cells(self) -> list[str]:
        """Return the measure as a row of a table."""
        ends = (self.difference.low, self.difference.high)
        return [
            self.entry,
            self.name,
            in_form(self.first, self.form),
            in_form(self.second, self.form),
            with_interval(self.difference.mean, ends, self.form, signed=True),
        ]


def paired_section(runs: Sequence[Run], first: str, second: str) -> Section:
    """Return the differences `second` - `first` with 95 % intervals, over seeds that both have.

    Entries are compared that every run of the pairs has scored, with predictions by image.

    Raises:
        RunError: there is no pair, a seed is there twice, or two runs were judged on other images.
    """
    pairs, remarks = pairs_of(runs, first, second)
    measures, left_out = paired_measures(pairs)
    own = list(_own_rows(pairs, left_out))
    if not measures:
        raise RunError(
            "not-comparable",
            f"'{first}' and '{second}' have no entry of the evaluation suite in common that keeps "
            "predictions by image",
            "evaluate both with the same evaluation suite",
        )
    seeds = ", ".join(str(pair[0].seed) for pair in pairs)
    remarks = [
        f"pairs by seed: {seeds}; the means of both are over these seeds and all images",
        "differences of percentages are in percentage points",
        "95 % interval of the difference over images"
        + (" and seeds, drawn independently of each other" if len(pairs) > 1 else " (one seed)"),
        *remarks,
        *(f"left out: {label}" for label in left_out),
    ]
    header = ["entry", "measure", first, second, f"{second} - {first} [95 %]"]
    rows = [*(measure.cells() for measure in measures), *own]
    return Section(f"{second} against {first}, paired", header, rows, remarks)


def paired_measures(pairs: Sequence[Pair]) -> tuple[list[PairedMeasure], list[str]]:
    """Return the measures of the entries that every run has scored, and which entries are left out.

    Args:
        pairs: runs of the first and of the second experiment, a pair a seed.

    Raises:
        RunError: two runs were judged on other images, or a table of predictions is damaged.
    """
    measures: list[PairedMeasure] = []
    left_out: list[str] = []
    for record in pairs[0][0].scores:
        found = [[_same_entry(run, record) for run in pair] for pair in pairs]
        label = _entry_label(record)
        if not all(each is not None for pair in found for each in pair):
            left_out.append(f"{label}: not scored in every run")
            continue
        of_entry = _entry_measures(pairs, record, label)
        if not of_entry:
            left_out.append(f"{label}: no predictions by image are kept")
        measures += of_entry
    return measures, left_out


def pairs_of(runs: Sequence[Run], first: str, second: str) -> tuple[list[Pair], list[str]]:
    """Return the runs of two experiments with the same seed, and which ones have no partner.

    Raises:
        RunError: there is no pair, or a seed is there twice.
    """
    sides: list[dict[int, Run]] = []
    for name in (first, second):
        by_seed: dict[int, Run] = {}
        for run in runs:
            if run.name != name or run.seed is None:
                continue
            if run.seed in by_seed:
                raise RunError(
                    "name-ambiguous",
                    f"{by_seed[run.seed].folder} and {run.folder} are both of '{name}' with seed "
                    f"{run.seed}: which one is to be paired?",
                    "name one of them",
                )
            by_seed[run.seed] = run
        sides.append(by_seed)
    common = sorted(sides[0].keys() & sides[1].keys())
    if not common:
        there = list_some(sorted({f"{run.name} ({_seed_label(run)})" for run in runs}))
        raise RunError(
            "not-comparable",
            f"no runs of '{first}' and '{second}' have a seed in common",
            f"--paired takes the names of two experiments; the runs are {there}",
        )
    remarks = [
        f"without a partner: {side[seed].label}"
        for side in sides
        for seed in sorted(side)
        if seed not in common
    ]
    return [(sides[0][seed], sides[1][seed]) for seed in common], remarks


def _seed_label(run: Run) -> str:
    return "no seed" if run.seed is None else f"seed {run.seed}"


def _same_entry(run: Run, record: Record) -> Record | None:
    key = comparison_key(record["entry"])
    for other in run.scores:
        if comparison_key(other["entry"]) == key:
            return other
    return None


def _entry_measures(pairs: Sequence[Pair], record: Record, label: str) -> list[PairedMeasure]:
    """Return the measures of one entry; none where a run keeps no predictions of it."""
    tables: list[list[ImageValues]] = [[], []]
    for pair in pairs:
        for side, run in enumerate(pair):
            own = _same_entry(run, record)
            assert own is not None
            found = image_values(run, own)
            if found is None:
                return []
            _check_same_images(pairs[0][0], record, tables[0][:1], run, own, found)
            tables[side].append(found)
    measures: list[PairedMeasure] = []
    for name, form in tables[0][0].forms.items():
        first, second = (torch.stack([table.values[name] for table in side]) for side in tables)
        difference = paired_interval(first, second, is_rate=form == "rate")
        means = float(first.mean()), float(second.mean())
        measures.append(PairedMeasure(label, name, form, *means, difference))
    return measures


def _own_rows(pairs: Sequence[Pair], left_out: list[str]) -> Iterator[list[str]]:
    """Yield a row for each metric of the project's own that every run has: there is no interval.

    What some runs do not have, or compute by other code, is added to what is left out.
    """
    for record in pairs[0][0].scores:
        found = [[_same_entry(pair[side], record) for pair in pairs] for side in (0, 1)]
        sides = [[_own_figures(each) for each in records if each is not None] for records in found]
        if any(len(side) < len(pairs) for side in sides):
            continue
        tables = [table for side in sides for table in side]
        for name in dict.fromkeys(name for table in tables for name in table):
            label = _entry_label(record)
            if not all(name in table for table in tables):
                left_out.append(f"{label}: {name} is not computed in every run")
            elif len({table[name].definition for table in tables}) > 1:
                left_out.append(f"{label}: {name} is of other code, or of other arguments")
            else:
                first, second = (fmean(table[name].value for table in side) for side in sides)
                difference = in_form(second - first, "number", signed=True)
                cells = [in_form(first, "number"), in_form(second, "number")]
                yield [label, name, *cells, f"{difference}, no interval"]


def _own_figures(record: Record) -> dict[str, Figure]:
    """Return the metrics of the project's own of a record, by the names that a report gives them."""
    return {each.name: each for each in headline_figures(record) if each.definition}


def _check_same_images(
    reference: Run,
    record: Record,
    tables: Sequence[ImageValues],
    run: Run,
    own: Record,
    found: ImageValues,
) -> None:
    reason = None
    if own.get("data") != record.get("data"):
        reason = "their data are not the same"
    elif record_label(own) != record_label(record):
        labels = [record_label(each).removeprefix(", ") or "whole" for each in (record, own)]
        reason = f"one evaluation is '{labels[0]}', the other '{labels[1]}'"
    elif tables and not torch.equal(tables[0].positions, found.positions):
        reason = "they were evaluated on other images"
    elif tables and not torch.equal(tables[0].labels, found.labels):
        reason = "their images have other labels"
    if reason is not None:
        raise RunError(
            "not-comparable",
            f"{reference.folder} and {run.folder} cannot be paired in {_entry_label(record)}: "
            f"{reason}",
            "evaluate both on the same images and with the same --weights, with evaluate.py --again",
        )


def _entry_label(record: Record) -> str:
    entry = entry_of(record)
    label = entry.mode.replace("_", " ")
    if isinstance(entry, Shifts):
        label += f", {shift_label(entry)}"
    return label + split_label(entry) + normalised_label(entry) + record_label(record)
