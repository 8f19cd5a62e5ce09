"""Batches by index: the same tensors whatever the number of workers and where a run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wavetwin.compiler.plan import TrainingPlan
from wavetwin.runtime.data.sources import ImageSet
from wavetwin.runtime.data.transforms import augment
from wavetwin.runtime.random_streams import image_random

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class _Fetcher(Dataset[Batch]):
    """What a DataLoader calls with the positions of one batch."""

    images: ImageSet
    transform: Callable[[Tensor, int], Tensor] | None
    """Of one image and its index; None where `batch_transform` is set."""
    batch_transform: Callable[[Tensor], Tensor] | None = None

    def __getitem__(self, index: int) -> Batch:
        images, labels = self.__getitems__([index])
        return images[0], labels[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        source = self.images.source
        loaded = source.load(indices)
        labels = source.labels[torch.as_tensor(indices, dtype=torch.int64)]
        if self.batch_transform is not None and isinstance(loaded, Tensor):
            return self.batch_transform(loaded.to(torch.float32) / source.maximum), labels
        results: list[Tensor] = []
        for image, index in zip(loaded, indices, strict=True):
            values = image.to(torch.float32) / source.maximum
            if self.batch_transform is not None:
                results.append(self.batch_transform(values))
            elif self.transform is not None:
                results.append(self.transform(values, index))
        return torch.stack(results), labels


def training_loader(
    images: ImageSet, batches: Sequence[Tensor], plan: TrainingPlan, epoch: int, workers: int
) -> Iterator[Batch]:
    """Yield augmented batches of these source indices."""
    name, size, seed = plan.data.augmentation, plan.data.image_size, plan.seed

    def transform(image: Tensor, index: int) -> Tensor:
        return augment(image, name, size, image_random(seed, epoch, index))

    return _load(_Fetcher(images, transform), batches, workers)


def evaluation_loader(
    images: ImageSet,
    batches: Sequence[Tensor],
    transform: Callable[[Tensor], Tensor],
    workers: int,
) -> Iterator[Batch]:
    """Yield batches of these source indices through a transform that draws nothing."""
    return _load(_Fetcher(images, None, transform), batches, workers)


def _load(fetcher: _Fetcher, batches: Sequence[Tensor], workers: int) -> Iterator[Batch]:
    loader = DataLoader(
        fetcher,
        batch_sampler=[batch.tolist() for batch in batches],
        num_workers=workers,
        collate_fn=_as_it_is,
        # Without a generator of its own each iterator draws from torch's global one.
        generator=torch.Generator(),
        # Workers never touch torch's state, so a copy of this process will do.
        multiprocessing_context="fork" if workers else None,
    )
    return iter(loader)


def _as_it_is(batch: Any) -> Any:
    return batch
