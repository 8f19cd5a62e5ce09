"""Check what the disk has of a data set, and what is missing; imports no torch.

Checksums are compared, and images decoded, only where `verify` asks for it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wavetwin.diagnostics.terminal import printable
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.array_file import damaged_member
from wavetwin.runtime.data.decode import BadImageError, decode_image
from wavetwin.runtime.data.detected import FileList, Found, FoundArrays
from wavetwin.runtime.data.held_out import set_aside
from wavetwin.runtime.data.idx import find_file
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images
from wavetwin.runtime.data.root import ROOT_REMEDY
from wavetwin.runtime.process.errors import RunError

__all__ = ["Availability", "look_for"]

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
    dataset = DATASETS[data.dataset]
    if root is None and dataset.package is None:
        availability.missing.append(f"no data root is known: {ROOT_REMEDY}")
        return availability
    if root is not None:
        _look_for_files(dataset, root, availability)
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
    availability.found += _locations(found)
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
        availability.damaged += _damaged_arrays(found)
    return availability


def _locations(found: Found) -> list[str]:
    """Return the folders and files that the images lie in."""
    locations: list[Path | None] = []
    for part in (found.train, found.test, found.validation):
        if part is not None:
            locations.append(part.folder if isinstance(part, FileList) else part.location)
    return list(dict.fromkeys(str(each) for each in locations if each is not None))


def _pairs(found: Found, data: DataPlan, names: Sequence[str] | None) -> Iterator[str]:
    """Yield the first and the last classes with their numbers of images."""
    counts = [
        np.bincount(part.labels, minlength=data.num_classes) for part in (found.train, found.test)
    ]
    named = names or DATASETS[data.dataset].class_names
    for number in range(data.num_classes):
        if not _PAIRS <= number < data.num_classes - _PAIRS:
            name = "" if named is None or number >= len(named) else f" {printable(named[number])}"
            train, test = (int(count[number]) for count in counts)
            yield f"class {number}:{name}{',' if name else ''} {train} train, {test} test"
        elif number == _PAIRS:
            yield "..."


def _look_for_files(dataset: Dataset, root: Path, availability: Availability) -> None:
    if not dataset.files:
        return
    folder, *archives = (root / each for each in dataset.locations)
    if archives and not folder.is_dir():
        archive = next(filter(Path.is_file, archives), None)
        if archive is None:
            availability.missing.append(f"{folder} (or {' or '.join(map(str, archives))})")
        else:
            availability.found.append(str(archive))
        return
    packed = dataset.packing and f" (or {dataset.packing})"
    for name in dataset.files:
        file = find_file(folder, name, dataset.packing)
        if file is None:
            availability.missing.append(f"{folder / name}{packed}")
        else:
            availability.found.append(str(file))


def _decode_all(found: Found, channels: int) -> Iterator[str]:
    """Yield what is wrong with each image file that cannot be decoded."""
    cores = os.cpu_count() or 1
    # A fresh process for each core: a copy of this one could inherit a lock that is held.
    context = multiprocessing.get_context("spawn")
    for part in (found.train, found.test, found.validation):
        if isinstance(part, FileList):
            # The names go to each process once, and not with every image.
            with ProcessPoolExecutor(cores, context, _keep, (part, channels)) as pool:
                yield from filter(None, pool.map(_fault_of, range(len(part)), chunksize=_CHUNK))


def _damaged_arrays(found: Found) -> Iterator[str]:
    """Yield each file of arrays that has bytes of other checksums than its own."""
    parts = (found.train, found.test)
    files = {part.location for part in parts if isinstance(part, FoundArrays)}
    for file in sorted(filter(None, files)):
        member = damaged_member(file)
        if member is not None:
            yield f"{file} has other bytes in {member} than its checksum says"


_kept: list[tuple[FileList, int]] = []
"""In a process that decodes: the images, and their channels."""


def _keep(images: FileList, channels: int) -> None:
    _kept[:] = [(images, channels)]


def _fault_of(index: int) -> str | None:
    ((images, channels),) = _kept
    try:
        decode_image(images[index], channels, images.content(index))
    except BadImageError as error:
        return error.headline
    return None
