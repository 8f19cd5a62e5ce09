"""Read MNIST and its like: idx files in torchvision's layout, packed or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from wavetwin.ir.datasets import find_dataset
from wavetwin.ir.datasets.mnist import Idx
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise, recognise_other

__all__ = ["find_file", "read_idx_images"]

UNSIGNED_BYTES = 8
"""The idx type code of all four files."""


def find_file(folder: Path, name: str, packing: str) -> Path | None:
    """Return the file, unpacked or packed; None where there is neither.

    Args:
        folder: where it lies.
        name: unpacked.
        packing: what its name ends in as well where it is packed; empty where it never is.
    """
    return next(filter(Path.is_file, (folder / name, folder / f"{name}{packing}")), None)


def read_idx_images(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images in `<root>/MNIST/raw` or `<root>/FashionMNIST/raw`.

    Raises:
        RunError: a file is missing, damaged or not the official one.
    """
    dataset = find_dataset(data.dataset, Idx)
    raw = need_root(data.dataset, root) / dataset.locations[0]
    train_images, train_labels, test_images, test_labels = dataset.files
    return Found(
        _read_pair(dataset, raw, train_images, train_labels, official),
        _read_pair(dataset, raw, test_images, test_labels, official),
    )


def _read_pair(
    dataset: Idx, raw: Path, images_name: str, labels_name: str, official: Official
) -> FoundArrays:
    images = _read_idx(raw, images_name, 3, dataset, official)
    labels = _read_idx(raw, labels_name, 1, dataset, official)
    if len(images) != len(labels):
        raise RunError(
            "data-set-damaged",
            f"has {len(images)} images in {images_name} and {len(labels)} labels in {labels_name}",
            "one of the files is damaged: fetch them again",
            subject=raw,
        )
    return FoundArrays(images[:, np.newaxis], labels.astype(np.int64))


def _read_idx(
    raw: Path, name: str, dimensions: int, dataset: Idx, official: Official
) -> np.ndarray:
    file = find_file(raw, name, dataset.packing)
    if file is None:
        raise RunError(
            "data-set-missing",
            f"'{dataset.name}' is not there: no {name} or {name}{dataset.packing} in {raw}",
            f"put the four idx files there (torchvision.datasets.{dataset.folder}(root, download=True) "
            f"makes this layout), or {ROOT_REMEDY}",
        )
    try:
        stored = file.read_bytes()
        content = gzip.decompress(stored) if file.suffix == dataset.packing else stored
    except (OSError, EOFError, zlib.error) as error:
        found = recognise_other(file, "gzip")
        reason = error if found is None else f"it is {found.description}"
        remedy = "fetch the file again" if found is None else found.remedy
        raise RunError(
            "data-set-damaged",
            f"cannot be read: {reason}",
            remedy or "fetch the file again",
            subject=file,
        ) from error
    start = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if content[:4] != bytes((0, 0, UNSIGNED_BYTES, dimensions)) or (
        len(content) != start + math.prod(sizes)
    ):
        found = recognise(content)
        what = "" if found is None else f": it is {found.description}"
        raise RunError(
            "data-set-damaged",
            f"is not a whole idx file of {dimensions} dimensions{what}",
            (None if found is None else found.remedy) or "fetch it again",
            subject=file,
        )
    if official.checks_sums and file.name in dataset.checksums:
        official.check_sum(str(file), stored, dataset.checksums[file.name])
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sizes)
