"""Sources of labelled images: what the readers of the data sets return."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class ImageSource(Protocol):
    """Images in a fixed order, with their classes as numbers from 0."""

    @property
    def labels(self) -> Tensor:
        """Classes, int64, one an image."""
        ...

    @property
    def maximum(self) -> int:
        """The stored value that means 1.0."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 that changes with the images, their order or their classes."""
        ...

    def load(self, indices: Sequence[int]) -> Tensor | list[Tensor]:
        """Return the images as uint8 (channels, height, width); stacked where all are of a size."""
        ...


@dataclass(frozen=True)
class TensorImages:
    """Images of one size, held in memory."""

    images: Tensor
    """uint8 (images, channels, height, width)."""
    labels: Tensor
    maximum: int = 255

    @property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, images and labels."""
        digest = hashlib.sha256(f"{tuple(self.images.shape)},{self.maximum}".encode())
        digest.update(self.images.contiguous().numpy().tobytes())
        digest.update(self.labels.to(torch.int64).contiguous().numpy().tobytes())
        return digest.hexdigest()

    def load(self, indices: Sequence[int]) -> Tensor:
        """Return the images of these indices, stacked."""
        return self.images[torch.as_tensor(indices, dtype=torch.int64)]


@dataclass(frozen=True)
class SourcePair:
    """The official training and test images of a data set, as a reader finds them."""

    train: ImageSource
    test: ImageSource
    validation: ImageSource | None = None
    """Only where the disk has validation images of its own."""


@dataclass(frozen=True)
class ImageSet:
    """Some images of a source: a split."""

    source: ImageSource
    indices: Tensor
    """int64 positions in the source."""

    def __len__(self) -> int:
        return len(self.indices)
