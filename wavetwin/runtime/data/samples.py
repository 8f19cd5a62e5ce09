"""Read a few images of each class as a training and an evaluation see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wavetwin.diagnostics.terminal import printable
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.plan import DataPlan, TrainingPlan
from wavetwin.runtime.data.batches import Loading, evaluation_loader, training_loader
from wavetwin.runtime.data.held_out import set_aside
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images
from wavetwin.runtime.data.sources import Batch, ImageSet, open_sources
from wavetwin.runtime.data.splits import make_splits
from wavetwin.runtime.data.transforms import fit

__all__ = ["ClassSample", "Samples", "read_samples"]


@dataclass(frozen=True)
class ClassSample:
    """One class."""

    number: int
    name: str
    """Empty where classes are numbers."""
    counts: tuple[int, int, int]
    """Training, validation and test images."""
    trained: Tensor
    """uint8 (images, channels, height, width): its first training images, as the first epoch changes
    them."""
    tested: Tensor
    """uint8 (images, channels, height, width): its first test images, as they are evaluated."""


@dataclass(frozen=True)
class Samples:
    """What a data set has."""

    classes: tuple[ClassSample, ...]
    bad_images: dict[str, str]
    """Damaged images that were left out, by file, with the reason."""
    notes: tuple[str, ...]
    """What is not as the plan says."""


def read_samples(
    plan: TrainingPlan, root: Path | None, per_class: int, most_classes: int
) -> Samples:
    """Return the counts of all classes, and the first images of each.

    Args:
        plan: says the data set, its splits, and what happens to an image.
        root: the data root.
        per_class: images of each class and kind.
        most_classes: beyond so many, the other classes have counts alone.

    Raises:
        RunError: the data set is not there, not readable or not what the plan says.
    """
    data, official = plan.data, Official(allow_other=True, checks_sums=False)
    found = find_images(data, root, official)
    splits = make_splits(open_sources(found, data.channels), set_aside(found, data, official))
    labels = [_labels(images) for images in splits]
    counts = [np.bincount(each, minlength=data.num_classes) for each in labels]
    train, _, test = splits
    shown = min(data.num_classes, most_classes)
    first_train, first_test = (
        _first_of_each(each, shown, per_class) for each in (labels[0], labels[2])
    )
    loading = Loading(skips_bad=True)
    # What is measured on all training images would take as long as reading them.
    statistics = (
        data.mean or (0.0,) * data.channels,
        data.std or (1.0,) * data.channels,
    )
    trained = _by_class(training_loader(train, first_train, plan, 0, loading, statistics), data)
    tested = _by_class(
        evaluation_loader(test, first_test, lambda image: fit(image, data.sides), loading),
        data,
    )
    names = (
        train.source.class_names or DATASETS[data.dataset].class_names or ("",) * data.num_classes
    )
    return Samples(
        tuple(
            ClassSample(
                number,
                printable(names[number]),
                (int(counts[0][number]), int(counts[1][number]), int(counts[2][number])),
                trained[number],
                tested[number],
            )
            for number in range(data.num_classes)
        ),
        loading.bad_images,
        tuple(official.notes),
    )


def _labels(images: ImageSet) -> np.ndarray:
    return images.source.labels[images.indices].cpu().numpy()


def _first_of_each(labels: np.ndarray, num_classes: int, per_class: int) -> list[Tensor]:
    """Return positions of the first images of each of the first classes: one batch, none of none."""
    each = [(labels == number).nonzero()[0][:per_class] for number in range(num_classes)]
    positions = torch.from_numpy(np.concatenate(each))
    return [positions] if len(positions) else []


def _by_class(batches: Iterator[Batch], data: DataPlan) -> list[Tensor]:
    """Return the images of at most one batch, in 8 bits, by their classes."""
    images, labels = torch.zeros(0, data.channels, *data.sides), torch.zeros(0, dtype=torch.int64)
    for batch in batches:
        images, labels = batch.images, batch.labels
    stored = (255 * images).round().clamp(0, 255).to(torch.uint8)
    return [stored[labels == number] for number in range(data.num_classes)]
