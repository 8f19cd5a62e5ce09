"""Readers of `mnist` and `fashion_mnist`: idx files in torchvision's layout, packed or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from wavetwin.compiler.plan import DataPlan
from wavetwin.runtime.data.root import ROOT_REMEDY
from wavetwin.runtime.data.sources import SourcePair, TensorImages
from wavetwin.runtime.errors import RunError

UNSIGNED_BYTES = 8
"""The idx type code of all four files."""


def read_mnist(data: DataPlan, root: Path | None) -> SourcePair:
    """Return MNIST from `<root>/MNIST/raw`.

    Raises:
        RunError: a file is missing or damaged.
    """
    return _read_raw(data, root, "MNIST")


def read_fashion_mnist(data: DataPlan, root: Path | None) -> SourcePair:
    """Return Fashion-MNIST from `<root>/FashionMNIST/raw`.

    Raises:
        RunError: a file is missing or damaged.
    """
    return _read_raw(data, root, "FashionMNIST")


def _read_raw(data: DataPlan, root: Path | None, folder: str) -> SourcePair:
    if root is None:
        raise RunError(
            f"no data root is known, and '{data.dataset}' is read from disk", ROOT_REMEDY
        )
    raw = root / folder / "raw"
    return SourcePair(_read_pair(data, raw, "train", folder), _read_pair(data, raw, "t10k", folder))


def _read_pair(data: DataPlan, raw: Path, prefix: str, folder: str) -> TensorImages:
    images = _read_idx(raw, f"{prefix}-images-idx3-ubyte", 3, data, folder)
    labels = _read_idx(raw, f"{prefix}-labels-idx1-ubyte", 1, data, folder)
    if len(images) != len(labels):
        raise RunError(
            f"{raw}: {prefix} has {len(images)} images and {len(labels)} labels",
            "one of the files is damaged: fetch them again",
        )
    return TensorImages(images.unsqueeze(1), labels.to(torch.int64))


def _read_idx(raw: Path, name: str, dimensions: int, data: DataPlan, folder: str) -> Tensor:
    file = next((path for path in (raw / name, raw / f"{name}.gz") if path.is_file()), None)
    if file is None:
        raise RunError(
            f"'{data.dataset}' is not there: no {name} or {name}.gz in {raw}",
            f"put the four idx files there (torchvision.datasets.{folder}(root, download=True) "
            f"makes this layout), or {ROOT_REMEDY}",
        )
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"{file} cannot be read: {error}", "fetch the file again") from error
    start = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if content[:4] != bytes((0, 0, UNSIGNED_BYTES, dimensions)) or (
        len(content) != start + math.prod(sizes)
    ):
        raise RunError(
            f"{file} is not a whole idx file of {dimensions} dimensions", "fetch it again"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(sizes)
