"""Read the top predictions of runs, class by class, from the tables of one crop and of ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wavetwin.explain.report.figures import normalised_label, record_label, split_label
from wavetwin.explain.report.runs import Record, Run, entry_of
from wavetwin.ir.evaluations import CropsEvaluation, comparison_key
from wavetwin.runtime.data.class_record import CLASS_NAMES
from wavetwin.runtime.evaluation.calibration import Calibration, calibrate
from wavetwin.runtime.evaluation.class_counts import class_labels, confusion_matrix
from wavetwin.runtime.evaluation.intervals import proportion_interval
from wavetwin.runtime.evaluation.table_files import PredictedClasses, read_classes
from wavetwin.runtime.process.errors import RunError

__all__ = ["ClassAccuracy", "EntryPredictions", "Predictions", "read_predictions"]


@dataclass(frozen=True)
class ClassAccuracy:
    """How many images of a class are recognised."""

    name: str
    images: int
    right: int

    @property
    def accuracy(self) -> float | None:
        """The share; None of a class without images."""
        return self.right / self.images if self.images else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of 95 %, Wilson's."""
        return proportion_interval(self.right, self.images) if self.images else None


@dataclass(frozen=True)
class Predictions:
    """Those of one run, in one entry of the evaluation."""

    number: int
    """Of the run, among those that are shown."""
    run: Run
    record: Record
    table: PredictedClasses
    names: tuple[str, ...]
    """Of the classes, in the order of their numbers."""

    @cached_property
    def confusion(self) -> Tensor:
        """The matrix, int64 (label, prediction)."""
        return confusion_matrix(self.table.labels, self.table.classes, len(self.names))

    @property
    def accuracies(self) -> list[ClassAccuracy]:
        """Of each class."""
        counts = self.confusion
        right, images = counts.diagonal().tolist(), counts.sum(1).tolist()
        return [ClassAccuracy(*row) for row in zip(self.names, images, right, strict=True)]

    @cached_property
    def calibration(self) -> Calibration | None:
        """None where the table is of before probabilities were kept."""
        entry, confidence = entry_of(self.record), self.table.confidence
        assert isinstance(entry, CropsEvaluation), entry
        if confidence is None:
            return None
        return calibrate(confidence, self.table.is_right, entry.calibration_bins)


@dataclass(frozen=True)
class EntryPredictions:
    """Those of all runs that were scored in one entry."""

    label: str
    """As headings have it."""
    found: list[Predictions]


def read_predictions(
    runs: Sequence[Run],
) -> tuple[list[EntryPredictions], list[RunError]]:
    """Return what the runs predict, by entry, and what is wrong with tables that cannot be read.

    Runs that were evaluated on few batches, or with other weights, stand apart.
    """
    entries: dict[tuple[str, str], EntryPredictions] = {}
    faults: list[RunError] = []
    for number, run in enumerate(runs):
        for record in run.scores:
            entry = entry_of(record)
            if not isinstance(entry, CropsEvaluation) or record.get("predictions") is None:
                continue
            try:
                table = read_classes(run.folder / record["predictions"], _num_classes(run))
            except RunError as error:
                faults.append(error)
                continue
            label = entry.mode.replace("_", " ") + split_label(entry) + normalised_label(entry)
            label += record_label(record)
            key = comparison_key(record["entry"])
            same = entries.setdefault((key, label), EntryPredictions(label, []))
            same.found.append(Predictions(number, run, record, table, _names(run, table)))
    return list(entries.values()), faults


def _num_classes(run: Run) -> int | None:
    return None if run.plan is None else run.plan.data.num_classes


def _names(run: Run, table: PredictedClasses) -> tuple[str, ...]:
    """Return the classes' names: the table's, the run's, the data set's, or numbers."""
    known = table.class_names
    most = int(torch.maximum(table.labels.max(), table.classes.max())) + 1
    number = _num_classes(run) or max(most, len(known or ()))
    return class_labels(known or run.manifest.get(CLASS_NAMES), run.dataset, number)
