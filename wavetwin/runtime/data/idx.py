"""Read `mnist` and `fashion_mnist`: idx files in torchvision's layout, packed or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import MNIST_RAW, PACKED_IDX, Official
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise, recognise_other

__all__ = ["IDX_FOLDERS", "IDX_NAMES", "find_idx", "read_idx_images"]

UNSIGNED_BYTES = 8
"""The idx type code of all four files."""
IDX_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
"""Folder below the data root that has `raw`, by data set."""
IDX_NAMES = tuple(MNIST_RAW)


def find_idx(raw: Path, name: str) -> Path | None:
    """Return the file, unpacked or packed; None where there is neither."""
    return next((path for path in (raw / name, raw / f"{name}.gz") if path.is_file()), None)


def read_idx_images(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images in `<root>/MNIST/raw` or `<root>/FashionMNIST/raw`.

    Raises:
        RunError: a file is missing, damaged or not the official one.
    """
    raw = need_root(data.dataset, root) / IDX_FOLDERS[data.dataset] / "raw"
    return Found(_read_pair(data, raw, "train", official), _read_pair(data, raw, "t10k", official))


def _read_pair(data: DataPlan, raw: Path, prefix: str, official: Official) -> FoundArrays:
    images = _read_idx(raw, f"{prefix}-images-idx3-ubyte", 3, data, official)
    labels = _read_idx(raw, f"{prefix}-labels-idx1-ubyte", 1, data, official)
    if len(images) != len(labels):
        raise RunError(
            "data-set-damaged",
            f"has {len(images)} images and {len(labels)} labels of {prefix}",
            "one of the files is damaged: fetch them again",
            subject=raw,
        )
    return FoundArrays(images[:, np.newaxis], labels.astype(np.int64))


def _read_idx(
    raw: Path, name: str, dimensions: int, data: DataPlan, official: Official
) -> np.ndarray:
    file = find_idx(raw, name)
    if file is None:
        folder = IDX_FOLDERS[data.dataset]
        raise RunError(
            "data-set-missing",
            f"'{data.dataset}' is not there: no {name} or {name}.gz in {raw}",
            f"put the four idx files there (torchvision.datasets.{folder}(root, download=True) "
            f"makes this layout), or {ROOT_REMEDY}",
        )
    try:
        stored = file.read_bytes()
        content = gzip.decompress(stored) if file.suffix == ".gz" else stored
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
    if official.checks_sums:
        if file.suffix == ".gz":
            official.check_sum(str(file), stored, PACKED_IDX[data.dataset][file.name])
        elif data.dataset == "mnist":
            official.check_sum(str(file), stored, MNIST_RAW[name])
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sizes)
