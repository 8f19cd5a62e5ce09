"""Collect per-image tables, which every mode fills, and the scores that are means of them.

Each process evaluates whole batches; the tables of all are put in the order of the images, and
scores are computed from the whole. So neither their number nor their order of working changes a
score, and no image counts twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wavetwin.ir.evaluations import Evaluation as Entry
from wavetwin.ir.evaluations import FilesEvaluation, SplitEvaluation
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.evaluation.intervals import mean_intervals
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.process.progress import ProgressReport

__all__ = [
    "LOGITS",
    "PROBABILITIES",
    "Baseline",
    "Evaluated",
    "Evaluation",
    "Table",
    "describe",
    "join_tables",
    "score_means",
]

T = TypeVar("T")

_DIVERGED = (
    "evaluate weights from before training diverged (--weights best or epoch-N), or train with a "
    "lower learning rate"
)

PROBABILITIES = "probabilities"
"""The column of all classes' probabilities, float32 (images, classes)."""
LOGITS = "logits"
"""The column that metrics of the project's own are computed from, float32 (images, classes); not kept."""
Table = dict[str, Tensor]
"""Columns by name: tensors whose first dimension is the images, on the CPU."""
Scores = dict[str, Any]
Intervals = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """What one entry of the evaluation suite gives."""

    scores: Scores
    intervals: Intervals
    """[low, high] of 95 % for each score that is a mean over images, nested as the scores."""
    per_image: Table
    """The images in the order of the split; empty where the mode keeps none."""
    images: int
    """Evaluated; frames, where the images are those of videos."""
    skipped: int = 0
    """Damaged images that were left out."""
    fingerprint: str | None = None
    """SHA-256 over the names and sizes of the entry's own files (`root`), where it has some."""
    limit_batches: int | None = None
    """Of an evaluation over a few batches."""
    class_names: tuple[str, ...] = ()
    """In the order of the classes' numbers; empty where the mode keeps no classes."""
    files: tuple[str, ...] | None = None
    """Of the images of the table, below the split's folder; None where images have none, or no
    predictions are written."""


@dataclass(frozen=True)
class Baseline:
    """Another model's scores of the same entry, to set this one's against."""

    label: str
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """One entry, on this process: its model, its images, and the other processes."""

    entry: Entry
    model: nn.Module
    data: ExperimentData
    device: torch.device
    processes: Processes
    data_root: Path | None
    """As the command line gives it."""
    is_shown: bool
    is_full: bool = True
    """Whether more than means is computed: intervals, calibration. Not after each epoch of training."""
    baseline: Baseline | None = None
    """In place of AlexNet, for corruptions and perturbations."""
    allow_non_finite: bool = False
    """Whether scores may be of logits that are not finite numbers."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        return self.data.plan.data.sides

    @property
    def batch_size(self) -> int:
        """The most images of one forward pass."""
        return self.data.plan.batch_size

    @property
    def files_entry(self) -> FilesEvaluation:
        """The entry, where it has images of its own."""
        assert isinstance(self.entry, FilesEvaluation), self.entry
        return self.entry

    @property
    def split(self) -> str:
        """Which images, where they are those of the data set."""
        assert isinstance(self.entry, SplitEvaluation), self.entry
        return self.entry.split

    def finish(
        self, columns: Mapping[str, Tensor], table: Table, no_rates: tuple[str, ...] = ()
    ) -> Evaluated:
        """Return the means of (images,) columns as flat scores of the entry's split.

        Raises:
            RunError: one is not a finite number: large logits have an infinite loss.
        """
        if not self.allow_non_finite:
            for name, column in columns.items():
                if not bool(column.isfinite().all()):
                    raise RunError(
                        "not-finite",
                        f"the {name} of {describe(self.entry)} is not a finite number for some "
                        "images",
                        _DIVERGED,
                    )
        scores, intervals = score_means(columns, no_rates=no_rates, with_intervals=self.is_full)
        images = len(table["positions"])
        return Evaluated(
            scores, intervals, table, images, self.data.num_images(self.split) - images
        )

    def predict(self, images: Tensor) -> Tensor:
        """Return logits in float32 for images in [0, 1].

        First predictions of what is not a number are always the same class, and would look stable.

        Raises:
            RunError: a logit is not a finite number.
        """
        if self.entry.normalise:
            images = self.data.normalise(images)
        logits = self.model(images).float()
        if not self.allow_non_finite and not bool(logits.isfinite().all()):
            bad = int((~logits.isfinite().all(-1)).sum())
            raise RunError(
                "not-finite",
                f"the network's output is not a finite number for some images of "
                f"{describe(self.entry)}: {bad} of a forward pass of {len(logits)}",
                _DIVERGED,
            )
        return logits

    def collect(
        self,
        transform: Callable[[Tensor], Tensor],
        measure: Callable[[Tensor, Tensor], Table],
        *,
        data: ExperimentData | None = None,
        split: str | None = None,
        batch_size: int | None = None,
        label: str | None = None,
    ) -> Table:
        """Return the table of a split, with `positions` and `labels`, the same on all processes.

        Args:
            transform: from an image in [0, 1] to what is evaluated, (..., channels, height, width).
            measure: from transformed images and labels on the device to columns.
            data: other images than the experiment's.
            split: another split than the entry's.
            batch_size: of what is read at once; default: the plan's.
            label: what progress calls it.

        Raises:
            RunError: an image is damaged, there are none, or the network's output is not finite;
                on all processes alike.
        """
        data, split = data or self.data, split or self.split
        everything = data.num_images(split)

        def own() -> Table:
            pieces: list[Table] = []
            steps = math.ceil(everything / (batch_size or self.batch_size) / self.processes.count)
            is_shown = self.is_shown and self.processes.is_first
            report = ProgressReport(label or describe(self.entry), steps) if is_shown else None
            with report or nullcontext():
                for images, labels, positions in data.evaluation_batches(
                    split,
                    transform,
                    batch_size,
                    rank=self.processes.rank,
                    processes=self.processes.count,
                ):
                    if len(labels) > 0:
                        columns = measure(
                            images.to(self.device, non_blocking=True),
                            labels.to(self.device, non_blocking=True),
                        )
                        piece = {"positions": positions, "labels": labels, **columns}
                        pieces.append({name: value.cpu() for name, value in piece.items()})
                    if report is not None:
                        report.advance(len(labels))
            return join_tables(pieces)

        table = join_tables(self.together(own))
        if not table:
            raise RunError(
                "image-damaged",
                f"no image of {label or split} could be read",
                "see the damaged images named above",
            )
        order = table["positions"].argsort()
        return {name: value[order] for name, value in table.items()}

    def on_all(self, work: Callable[[], T]) -> T:
        """Return what this process's work gives; where one fails, all of them raise its error.

        Raises:
            RunError: of the first process that failed.
        """
        result: list[T] = []
        self.together(lambda: result.append(work()))
        return result[0]

    def together(self, work: Callable[[], T]) -> list[T]:
        """Return what each process's work gives; where one fails, all of them raise its error.

        Raises:
            RunError: of the first process that failed.
        """
        result, failure = None, None
        try:
            result = work()
        except RunError as error:
            failure = error
        answers: list[tuple[Any, RunError | None]] = self.processes.gather((result, failure))
        for _, failed in answers:
            if failed is not None:
                raise failed
        return [answer for answer, _ in answers]


def score_means(
    columns: Mapping[str, Tensor], *, no_rates: tuple[str, ...] = (), with_intervals: bool = True
) -> tuple[Scores, Intervals]:
    """Return the mean of each (images,) column, and its 95 % interval over the images.

    Args:
        columns: by the score's name.
        no_rates: which are not shares between 0 and 1.
        with_intervals: False leaves the intervals empty.
    """
    values = torch.stack([column.double() for column in columns.values()], dim=1)
    scores = dict(zip(columns, values.mean(0).tolist(), strict=True))
    if not with_intervals:
        return scores, {}
    found = mean_intervals(values, are_rates=[name not in no_rates for name in columns])
    return scores, {name: list(ends) for name, ends in zip(columns, found, strict=True)}


def describe(entry: Entry) -> str:
    """Return a label of an entry for people."""
    return entry.describe()


def join_tables(pieces: Sequence[Table]) -> Table:
    """Return the rows of all tables, one after the other; those of no rows have no columns."""
    filled = [piece for piece in pieces if piece]
    if not filled:
        return {}
    return {name: torch.cat([piece[name] for piece in filled]) for name in filled[0]}
