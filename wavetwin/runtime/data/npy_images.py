"""Read corrupted images in CIFAR-10-C's layout: an array a corruption, its severities in a row.

`<corruption>.npy` holds uint8 (images, height, width, channels), `labels.npy` the class of each;
the first fifth is severity 1, the next one severity 2. Arrays are mapped, not read: an evaluation
takes the memory of one severity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wavetwin.runtime.data.detected import FoundArrays
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise_file

__all__ = ["LABELS", "NpyImages", "list_npy_sets"]

LABELS = "labels.npy"
_AGAIN = "extract the archive (CIFAR-10-C.tar) again"


@dataclass(frozen=True)
class NpyImages:
    """One corruption at one severity: a part of an array."""

    file: Path
    part: int
    """Which one, from 0."""
    labels: np.ndarray
    """int64 (images)."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the array's name and size, the part and the classes; not over the pixels."""
        digest = hashlib.sha256(self.file.name.encode("utf-8", "surrogateescape"))
        digest.update(f"\0{self.file.stat().st_size}\0{self.part}\0".encode())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def read(self, channels: int) -> FoundArrays:
        """Return the images, uint8 (images, channels, height, width).

        Raises:
            RunError: the array is damaged.
        """
        start = self.part * len(self)
        images = _open(self.file)[start : start + len(self)]
        if images.shape[3] != channels:
            raise RunError(
                "data-do-not-fit",
                f"has images of {images.shape[3]} channels, the model's have {channels}",
                subject=self.file,
            )
        return FoundArrays(np.array(images.transpose(0, 3, 1, 2), order="C"), self.labels)


def list_npy_sets(
    folder: Path, severities: Sequence[str], num_classes: int | None
) -> dict[str, NpyImages]:
    """Return `<corruption>/<severity>` of the arrays in a folder; none where it has no labels.npy.

    Raises:
        RunError: an array is missing, damaged or of another shape, or a class is not the model's.
    """
    if not (folder / LABELS).is_file():
        return {}
    labels = _load(folder / LABELS)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) % len(severities):
        raise RunError(
            "data-set-damaged",
            f"has the shape {labels.shape} of {labels.dtype}: whole numbers for "
            f"{len(severities)} severities one after the other are looked for",
            _AGAIN,
            subject=folder / LABELS,
        )
    bound = int(labels.max(initial=0)) + 1 if num_classes is None else num_classes
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < bound:
        raise RunError(
            "data-do-not-fit",
            f"has classes from {labels.min()} to {labels.max()}, the model has "
            f"{bound}: 0 to {bound - 1}",
            "name the root of the data set that the model is for",
            subject=folder / LABELS,
        )
    size = len(labels) // len(severities)
    sets: dict[str, NpyImages] = {}
    for file in sorted(folder.glob("*.npy")):
        if file.name == LABELS or file.name.startswith("."):
            continue
        images = _open(file)
        if images.ndim != 4 or images.dtype != np.uint8 or len(images) != len(labels):
            raise RunError(
                "data-set-damaged",
                f"has the shape {images.shape} of {images.dtype}: uint8 "
                f"({len(labels)}, height, width, channels) goes with {LABELS}",
                _AGAIN,
                subject=file,
            )
        for part, severity in enumerate(severities):
            own = labels[part * size : (part + 1) * size].astype(np.int64)
            sets[f"{file.stem}/{severity}"] = NpyImages(file, part, own)
    return sets


def _open(file: Path) -> np.ndarray:
    return _load(file, mmap_mode="r")


def _load(file: Path, mmap_mode: str | None = None) -> np.ndarray:
    try:
        return np.load(file, mmap_mode=mmap_mode, allow_pickle=False)  # pyright: ignore[reportArgumentType]
    except (OSError, ValueError, EOFError) as error:
        found = recognise_file(file)
        is_other = found is not None and found.kind != "npy"
        reason = f"it is {found.description}" if found is not None and is_other else str(error)
        remedy = found.remedy if found is not None and is_other else None
        raise RunError(
            "data-set-damaged", f"cannot be read: {reason}", remedy or _AGAIN, subject=file
        ) from error
