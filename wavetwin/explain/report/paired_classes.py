"""Compare two experiments class by class, paired over the images of each class and over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from wavetwin.explain.report.figures import in_form, with_interval
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.predicted import EntryPredictions, Predictions, read_predictions
from wavetwin.explain.report.runs import Run
from wavetwin.runtime.evaluation.intervals import PairedDifference, paired_interval, unseen_share

__all__ = ["ClassDifference", "class_differences", "paired_classes_sections"]

_MOST_ROWS = 20
"""Of more classes, half as many from either end are shown."""


@dataclass(frozen=True)
class ClassDifference:
    """The accuracy of one class in two experiments, over the same seeds and images."""

    entry: str
    name: str
    images: int
    first: float
    second: float
    difference: PairedDifference


def class_differences(pairs: Sequence[tuple[Run, Run]]) -> list[list[ClassDifference]]:
    """Return the differences of every class that has images, entry by entry.

    Entries count that every run of the pairs has scored on the same images and classes, of which its
    table can be read; which ones cannot, the part on classes says.

    Args:
        pairs: runs of the first and of the second experiment, a pair a seed.
    """
    runs = [run for pair in pairs for run in pair]
    entries, _ = read_predictions(runs)
    return [
        list(_differences(entry))
        for entry in entries
        if [each.number for each in entry.found] == list(range(len(runs))) and _are_alike(entry)
    ]


def paired_classes_sections(
    differences: Sequence[Sequence[ClassDifference]], first: str, second: str
) -> list[Section]:
    """Return a table for each entry: accuracies `second` - `first` of each class, with intervals."""
    return [_section(rows, first, second) for rows in differences]


def _section(rows: Sequence[ClassDifference], first: str, second: str) -> Section:
    ordered = sorted(rows, key=lambda row: row.difference.mean)
    if len(ordered) > _MOST_ROWS:
        half = _MOST_ROWS // 2
        ordered = [*ordered[:half], *ordered[-half:]]
    cells = [
        [
            row.name,
            f"{row.images:,}",
            in_form(row.first, "rate"),
            in_form(row.second, "rate"),
            with_interval(
                row.difference.mean,
                (row.difference.low, row.difference.high),
                "rate",
                signed=True,
            ),
        ]
        for row in ordered
    ]
    clear = sum(row.difference.low > 0 or row.difference.high < 0 for row in rows)
    remarks = [
        "accuracies, over the pairs' seeds and the images of each class, by their difference",
        f"of {len(rows)} classes {clear} have an interval without 0; by chance alone it would be about "
        f"{0.05 * len(rows):.2g}",
    ]
    if len(rows) > len(ordered):
        remarks.append(f"the {len(ordered)} classes with the largest losses and gains are shown")
    header = ["class", "images", first, second, f"{second} - {first} [95 %]"]
    return Section(f"{second} against {first}, by class: {rows[0].entry}", header, cells, remarks)


def _are_alike(entry: EntryPredictions) -> bool:
    """Return whether all runs judged the same images of the same classes."""
    first = entry.found[0]
    return all(_same_images(first, each) for each in entry.found[1:])


def _same_images(first: Predictions, second: Predictions) -> bool:
    return (
        first.names == second.names
        and first.record.get("data") == second.record.get("data")
        and torch.equal(first.table.positions, second.table.positions)
        and torch.equal(first.table.labels, second.table.labels)
    )


def _differences(entry: EntryPredictions) -> Iterator[ClassDifference]:
    reference = entry.found[0]
    right = torch.stack([each.table.is_right for each in entry.found]).double()
    first, second = right[0::2], right[1::2]
    for number, name in enumerate(reference.names):
        own = reference.table.labels == number
        images = int(own.sum())
        if images:
            ours, theirs = first[:, own], second[:, own]
            difference = paired_interval(ours, theirs, is_rate=True)
            if torch.equal(ours, theirs):
                # A bootstrap of images that never differ would leave no doubt.
                most = unseen_share(images)
                difference = PairedDifference(0.0, -most, most)
            yield ClassDifference(
                entry.label,
                name,
                images,
                float(ours.mean()),
                float(theirs.mean()),
                difference,
            )
