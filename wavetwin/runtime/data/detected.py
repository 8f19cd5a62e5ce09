"""Describe what a reader detects on the disk before torch comes in: arrays, or image files' names."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wavetwin.runtime.process.errors import RunError

__all__ = ["FileList", "Found", "FoundArrays"]


@dataclass(frozen=True)
class FoundArrays:
    """Images of one size."""

    images: np.ndarray
    """uint8 (images, channels, height, width)."""
    labels: np.ndarray
    """int64 (images)."""
    maximum: int = 255
    """The stored value that means 1.0."""
    is_mapped: bool = False
    """Whether the images lie in a file, and are read when they are asked for."""
    known_fingerprint: str | None = None
    """SHA-256 that changes with images and classes, where the file gives one; None: of all pixels."""
    location: Path | None = None
    """Their file; None where there are several, or none."""

    def __len__(self) -> int:
        return len(self.labels)

    def without_images(self) -> FoundArrays:
        """Return none of the images."""
        return replace(self, images=self.images[:0], labels=self.labels[:0])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, images and classes."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        return pixel_fingerprint(self.images, self.labels, self.maximum)


def pixel_fingerprint(images: np.ndarray, labels: np.ndarray, maximum: int) -> str:
    """Return the SHA-256 over sizes, images and classes."""
    digest = hashlib.sha256(f"{images.shape},{maximum}".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class FileList:
    """Image files below a folder, in a fixed order.

    Names are kept in one array: a tuple of a million paths would be copied page by page into every
    process that reads images.
    """

    folder: Path
    class_names: tuple[str, ...]
    names: np.ndarray
    """Bytes (images): paths below the folder."""
    sizes: np.ndarray
    """int64 (images), in bytes."""
    labels: np.ndarray
    """int64 (images)."""

    def __len__(self) -> int:
        return len(self.names)

    def without_images(self) -> FileList:
        """Return none of the images, of the same classes."""
        return replace(self, names=self.names[:0], sizes=self.sizes[:0], labels=self.labels[:0])

    def __getitem__(self, index: int) -> Path:
        """Return the path of one image."""
        return self.folder / os.fsdecode(bytes(self.names[index]))

    def content(self, index: int) -> bytes | None:
        """Return one image's bytes, where they lie in another file; None: in its own."""
        return None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over class names, file names, sizes and classes; the pixels are not read."""
        digest = hashlib.sha256("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        for name in self.names:
            digest.update(b"\0" + bytes(name))
        digest.update(self.sizes.astype("<i8").tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Found:
    """The official training and test images of a data set."""

    train: FoundArrays | FileList
    test: FoundArrays | FileList
    validation: FoundArrays | FileList | None = None
    """Only where the disk has validation images of its own."""
    train_per_class: int | None = None
    """How many images of each class train, after those that are held out; None: all."""
    no_training: RunError | None = None
    """Why there are no training images, where the test set alone is there."""
