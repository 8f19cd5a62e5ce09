"""Hold labelled images: in memory, or as files that are read when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from wavetwin.runtime.data.decode import decode_image
from wavetwin.runtime.data.detected import FileList, Found, FoundArrays, pixel_fingerprint

__all__ = [
    "Batch",
    "FileImages",
    "ImageSet",
    "ImageSource",
    "SourcePair",
    "TensorImages",
    "open_sources",
]


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

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes; None where they are numbers."""
        ...

    @property
    def channels(self) -> int:
        """Of an image."""
        ...

    def load(self, indices: Sequence[int]) -> Tensor | list[Tensor]:
        """Return the images as uint8 (channels, height, width); stacked where all are of a size."""
        ...

    def file_names(self, indices: Sequence[int]) -> tuple[str, ...] | None:
        """Return the paths of images below the folder that was read; None where they are no files."""
        ...

    def label(self, index: int) -> str:
        """Return what messages call an image."""
        ...


@dataclass(frozen=True)
class TensorImages:
    """Images of one size, held in memory."""

    images: Tensor
    """uint8 (images, channels, height, width), on the CPU or the accelerator."""
    labels: Tensor
    """int64 (images), on the same device."""
    maximum: int = 255
    class_names: tuple[str, ...] | None = None
    known_fingerprint: str | None = None
    """What `fingerprint` is where the images' file gives it; None: of all pixels."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, images and labels."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        return pixel_fingerprint(
            self.images.numpy(force=True), self.labels.numpy(force=True), self.maximum
        )

    @property
    def channels(self) -> int:
        """Of an image."""
        return self.images.shape[1]

    def label(self, index: int) -> str:
        """Return what messages call an image: its number."""
        return f"image {index} of the data set"

    def load(self, indices: Sequence[int]) -> Tensor:
        """Return the images of these indices, stacked."""
        return self.images[torch.as_tensor(indices, dtype=torch.int64)]

    def file_names(self, indices: Sequence[int]) -> None:
        """Return None: an array has no names."""

    def to(self, device: torch.device) -> TensorImages:
        """Return the same images on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


class FileImages:
    """Image files, decoded when they are asked for."""

    def __init__(self, files: FileList, channels: int) -> None:
        self.files = files
        self.channels = channels
        self.labels: Tensor = torch.from_numpy(files.labels)
        self.class_names: tuple[str, ...] = files.class_names
        self.maximum = 255

    @property
    def fingerprint(self) -> str:
        """SHA-256 over class names, file names, sizes and classes; the pixels are not read."""
        return self.files.fingerprint

    def label(self, index: int) -> str:
        """Return what messages call an image: its file."""
        return str(self.files[index])

    def load(self, indices: Sequence[int]) -> list[Tensor]:
        """Return decoded images, each of its own size.

        Raises:
            BadImageError: a file is not a readable image.
            RunError: the disk does not give a file.
        """
        return [
            torch.from_numpy(
                decode_image(self.files[index], self.channels, self.files.content(index))
            )
            for index in indices
        ]

    def file_names(self, indices: Sequence[int]) -> tuple[str, ...]:
        """Return the paths of images below the folder that was read, such as `test`."""
        return tuple(os.fsdecode(bytes(self.files.names[index])) for index in indices)


@dataclass(frozen=True)
class SourcePair:
    """The official training and test images of a data set, as a reader finds them."""

    train: ImageSource
    test: ImageSource
    validation: ImageSource | None = None
    """Only where the disk has validation images of its own."""


def open_sources(found: Found, channels: int) -> SourcePair:
    """Return what a reader found as sources of images."""
    validation = None if found.validation is None else _open(found.validation, channels)
    return SourcePair(_open(found.train, channels), _open(found.test, channels), validation)


def _open(found: FoundArrays | FileList, channels: int) -> ImageSource:
    if isinstance(found, FileList):
        return FileImages(found, channels)
    # A copy: arrays that stand on bytes are read-only, which torch does not know. What is mapped is not.
    images = torch.from_numpy(found.images if found.is_mapped else found.images.copy())
    labels = torch.from_numpy(found.labels.copy())
    return TensorImages(
        _with_channels(images, channels), labels, found.maximum, None, found.known_fingerprint
    )


_LUMINANCE = (19595, 38470, 7471)
"""Of red, green and blue, over 65536: Pillow's weights, so that files and arrays give the same."""


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """Return uint8 images as grey or as colour; grey ones as colour take no memory."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    red, green, blue = (
        images[:, n].to(torch.int32) * weight for n, weight in enumerate(_LUMINANCE)
    )
    return ((red + green + blue + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


@dataclass(frozen=True)
class ImageSet:
    """Some images of a source: a split."""

    source: ImageSource
    indices: Tensor
    """int64 positions in the source."""

    def __len__(self) -> int:
        return len(self.indices)

    def file_names(self, positions: Tensor) -> tuple[str, ...] | None:
        """Return the paths of images of the split; None where they are no files."""
        return self.source.file_names(self.indices[positions].tolist())


class Batch(NamedTuple):
    """Images of a split; none at all where a share of a batch is empty or all of it is damaged."""

    images: Tensor
    """float32 (batch, channels, height, width), in [0, 1], not normalised."""
    labels: Tensor
    """int64 (batch)."""
    positions: Tensor
    """int64 (batch): positions in the split; on the CPU wherever the images are."""
