"""Read CIFAR-10 and CIFAR-100: the python version, unpacked or as the official archive."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.datasets import find_dataset
from wavetwin.ir.datasets.cifar import Cifar
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.plain_pickle import read_plain_pickle
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise, recognise_other

__all__ = ["read_cifar"]

SIDE = 32


def read_cifar(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images of `<root>/cifar-10-batches-py`, or of the archive where only it is there.

    Raises:
        RunError: a file is missing, damaged, hostile or not the official one.
    """
    dataset = find_dataset(data.dataset, Cifar)
    location = need_root(data.dataset, root)
    if (location / dataset.folder).is_dir():
        contents = _read_folder(location / dataset.folder, dataset.files)
        prefix = str(location / dataset.folder)
    elif (location / dataset.archive).is_file():
        contents = _read_archive(location / dataset.archive, dataset.folder, dataset.files)
        prefix = f"{location / dataset.archive}: {dataset.folder}"
    else:
        raise RunError(
            "data-set-missing",
            f"'{data.dataset}' is not there: no {dataset.folder} and no {dataset.archive} in {location}",
            f"put the official archive {dataset.archive} (python version) there, unpacked or not, "
            f"or {ROOT_REMEDY}",
        )
    sums = dataset.checksums if official.checks_sums else {}
    batches: dict[str, FoundArrays] = {}
    for name in dataset.files:
        content = contents.pop(name)
        instead = recognise(content)
        if instead is not None:
            raise RunError(
                "data-set-damaged",
                f"is no batch file: it is {instead.description}",
                instead.remedy or "unpack the official archive again",
                subject=f"{prefix}/{name}",
            )
        if name in sums:
            official.check_sum(f"{prefix}/{name}", content, sums[name])
        batches[name] = _arrays(
            read_plain_pickle(content, f"{prefix}/{name}"), dataset, prefix, name
        )
    train = [batches[name] for name in dataset.train]
    return Found(
        FoundArrays(
            np.concatenate([batch.images for batch in train]),
            np.concatenate([batch.labels for batch in train]),
        ),
        batches[dataset.test],
    )


def _read_folder(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no {list_some(missing)}",
            "unpack the official archive again",
            subject=folder,
        )
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise RunError(
            "file-unreadable", f"cannot be read: {error.strerror}", subject=error.filename
        ) from error


def _read_archive(archive: Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the contents of some members in one pass; nothing is written to the disk."""
    wanted = {f"{folder}/{name}": name for name in names}
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                stream = members.extractfile(member) if member.name in wanted else None
                if stream is not None:
                    contents[wanted[member.name]] = stream.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        found = recognise_other(archive, "gzip")
        raise RunError(
            "data-set-damaged",
            f"cannot be read: {error if found is None else f'it is {found.description}'}",
            (found.remedy if found is not None else None)
            or "the archive is cut off or damaged: fetch it again",
            subject=archive,
        ) from error
    missing = [name for name in names if name not in contents]
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no {folder}/{list_some(missing)}",
            "fetch the official archive",
            subject=archive,
        )
    return contents


def _arrays(batch: Any, dataset: Cifar, prefix: str, name: str) -> FoundArrays:
    images = batch.get("data") if isinstance(batch, dict) else None
    labels = batch.get(dataset.labels) if isinstance(batch, dict) else None
    if not (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.ndim == 2
        and images.shape[1] == 3 * SIDE * SIDE
        and isinstance(labels, list)
        and all(isinstance(label, int) and label >= 0 for label in labels)
        and len(labels) == len(images)
    ):
        raise RunError(
            "data-set-damaged",
            f"has not the images (data) and classes ({dataset.labels}) of a batch",
            "fetch the official archive",
            subject=f"{prefix}/{name}",
        )
    return FoundArrays(images.reshape(-1, 3, SIDE, SIDE), np.array(labels, dtype=np.int64))
