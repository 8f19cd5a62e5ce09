"""Choose which training images train and which validate, and check the planned counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

__all__ = ["SplitPositions", "set_aside"]


@dataclass(frozen=True)
class SplitPositions:
    """Places in the training images, int64, ascending."""

    train: np.ndarray
    validation: np.ndarray | None
    """None where the disk has validation images of its own."""


def set_aside(found: Found, data: DataPlan, official: Official) -> SplitPositions:
    """Return the positions of training and validation images: the first N, or N of each class.

    Raises:
        RunError: that leaves nothing of a class to train on, there are more classes than planned,
            or the images are not the official ones.
    """
    labels = found.train.labels
    if found.no_training is not None:
        _check(found, data, None, official)
        return SplitPositions(labels, labels)
    if data.validation_per_class:
        validates, trains = _by_class(found, data, official)
    else:
        validates = np.arange(len(labels)) < data.validation
        trains = ~validates
    if not trains.any():
        raise RunError(
            "no-training-images",
            f"data.validation {data.validation} sets all {len(labels)} training images aside",
            "set a smaller number",
        )
    train = trains.nonzero()[0]
    _check(found, data, len(train), official)
    return SplitPositions(train, validates.nonzero()[0] if found.validation is None else None)


def _by_class(found: Found, data: DataPlan, official: Official) -> tuple[np.ndarray, np.ndarray]:
    """Return which images validate and which train: each image's position in its class decides."""
    labels, wanted = found.train.labels, found.train_per_class
    counts = np.bincount(labels, minlength=data.num_classes)
    order = labels.argsort(kind="stable")
    position = np.empty_like(labels)
    position[order] = np.arange(len(labels)) - (counts.cumsum() - counts)[labels[order]]
    if data.validation > 0:
        used_up = _named(found, counts, (counts > 0) & (counts <= data.validation))
        if used_up:
            raise RunError(
                "no-training-images",
                f"data.validation {data.validation} leaves no training images of {list_some(used_up)}",
                "set a smaller number, or add images of these classes",
            )
    validates = position < data.validation
    if wanted is None:
        return validates, ~validates
    short = _named(found, counts, (counts > 0) & (counts < data.validation + wanted))
    if short:
        official.differs(
            f"'{data.dataset}' needs {data.validation} + {wanted} training images of each class, "
            f"there are fewer of {list_some(short)}",
            "unpack the training archive again",
        )
    return validates, ~validates & (position < data.validation + wanted)


def _named(found: Found, counts: np.ndarray, chosen: np.ndarray) -> list[str]:
    """Return the chosen classes, with how many training images they have."""
    names = found.train.class_names if isinstance(found.train, FileList) else None
    return [
        f"{f'class {label}' if names is None else names[label]} ({counts[label]})"
        for label in chosen.nonzero()[0]
    ]


def _check(found: Found, data: DataPlan, num_train: int | None, official: Official) -> None:
    for part in (found.train, found.test):
        highest = int(part.labels.max(initial=0))
        if highest >= data.num_classes:
            raise RunError(
                "data-do-not-fit",
                f"'{data.dataset}' has class {highest}, the plan has {data.num_classes} classes",
                f"write `data: {{num_classes: {highest + 1}}}` in the spec",
            )
    planned = None if num_train is None else data.training_images
    if planned is not None and num_train != planned:
        official.differs(
            f"'{data.dataset}' leaves {num_train} training images, the plan was built for "
            f"{planned}",
            "the files are not the official data set: fetch them again",
        )
    expected, num_test = DATASETS[data.dataset].test_images, len(found.test.labels)
    if expected is not None and num_test != expected:
        official.differs(
            f"'{data.dataset}' has {num_test} test images, the official one has {expected}",
            "the files are not the official data set: fetch them again",
        )
