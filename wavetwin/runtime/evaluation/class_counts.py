"""Count predictions by class: the confusion matrix, and the accuracy of each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavetwin.ir.datasets import DATASETS
from wavetwin.runtime.data.class_record import recorded_names

__all__ = ["class_labels", "confusion_matrix"]


def confusion_matrix(labels: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Return how many images of each class (row) are predicted as each class (column).

    The diagonal has those that are right; rows sum to the images of a class.

    Args:
        labels: (images,), whole numbers below `num_classes`.
        classes: top predictions, alike.
        num_classes: of the network.

    Returns:
        int64 (num_classes, num_classes).
    """
    cells = labels.long() * num_classes + classes.long()
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_labels(
    names: Sequence[str] | None, dataset: str | None, num_classes: int
) -> tuple[str, ...]:
    """Return what the classes are called: as their folders, else officially, else by number.

    Args:
        names: of the data that were read; None where these have numbers alone.
        dataset: the data set's name; None where it is not known.
        num_classes: of the network.
    """
    known = None if dataset is None else DATASETS[dataset].class_names
    for each in (names, known):
        if each is not None and len(each) == num_classes:
            return tuple(recorded_names(each) or ())
    return tuple(str(number) for number in range(num_classes))
