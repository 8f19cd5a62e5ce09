"""Yield batches of a split, from memory or from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wavetwin.ir.augmentations import ListedTransforms
from wavetwin.ir.image_transforms import TransformedImages
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data.batch_augment import BatchAugment
from wavetwin.runtime.data.file_workers import read_files
from wavetwin.runtime.data.listed_transforms import ImageChange
from wavetwin.runtime.data.sources import Batch, ImageSet, TensorImages
from wavetwin.runtime.data.statistics import Statistics
from wavetwin.runtime.data.transforms import augment
from wavetwin.runtime.process.random_streams import image_random

__all__ = ["Loading", "evaluation_loader", "training_loader"]


@dataclass
class Loading:
    """How batches are read."""

    workers: int = 0
    """Processes that read image files; 0: this one."""
    skips_bad: bool = False
    """Whether damaged images are left out; else the first one stops."""
    pins: bool = False
    """Whether batches of files go into memory that CUDA copies from fastest."""
    bad_images: dict[str, str] = field(default_factory=dict)
    """Damaged images that were left out, by file, with the reason."""


def training_loader(
    images: ImageSet,
    batches: Sequence[Tensor],
    plan: TrainingPlan,
    epoch: int,
    loading: Loading,
    statistics: Statistics,
) -> Iterator[Batch]:
    """Yield augmented batches of these positions in a split.

    Args:
        images: the split.
        batches: int64 positions in it.
        plan: says what is done to an image.
        epoch: counted from 0.
        loading: how images are read.
        statistics: mean and standard deviation of the normalisation that follows.

    Raises:
        RunError: an image is damaged, or a package that a transform needs is not installed.
    """
    name, size, seed = plan.data.augmentation, plan.data.sides, plan.seed
    source = images.source
    if not isinstance(name, str):
        results = TransformedImages(size, source.channels, *statistics)
        listed = ImageChange(ListedTransforms(name), results, seed, epoch)
        yield from _read(
            images, batches, lambda image, index: listed(image, source.maximum, index), loading
        )
        return
    if isinstance(source, TensorImages):
        change = BatchAugment(name, size, seed, epoch, len(source.labels))
        for positions in batches:
            indices = images.indices[positions]
            changed = change(source.load(indices.tolist()), indices, source.maximum)
            yield Batch(changed, source.labels[indices], positions)
        return

    def transform(image: Tensor, index: int) -> Tensor:
        values = image.to(torch.float32) / source.maximum
        return augment(values, name, size, image_random(seed, epoch, index))

    yield from _read(images, batches, transform, loading)


def evaluation_loader(
    images: ImageSet,
    batches: Sequence[Tensor],
    transform: Callable[[Tensor], Tensor],
    loading: Loading,
) -> Iterator[Batch]:
    """Yield batches of these positions in a split through a transform that draws nothing."""
    source = images.source
    if isinstance(source, TensorImages):
        for positions in batches:
            indices = images.indices[positions]
            values = source.load(indices.tolist()).to(torch.float32) / source.maximum
            yield Batch(transform(values), source.labels[indices], positions)
        return

    def of_values(image: Tensor, index: int) -> Tensor:
        return transform(image.to(torch.float32) / source.maximum)

    yield from _read(images, batches, of_values, loading)


def _read(
    images: ImageSet,
    batches: Sequence[Tensor],
    transform: Callable[[Tensor, int], Tensor],
    loading: Loading,
) -> Iterator[Batch]:
    return read_files(
        images,
        batches,
        transform,
        workers=loading.workers,
        skips_bad=loading.skips_bad,
        bad_images=loading.bad_images,
        pins=loading.pins,
    )
