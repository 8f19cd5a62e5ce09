"""Read images of one's own from a .npz file: `train_images`, `train_labels`, and those of val and test.

Images are uint8, N x H x W or N x H x W x C; classes are whole numbers from 0. Nothing is unpickled. An
array that is stored as it is (`numpy.savez`) is mapped, and its images are read when they are asked for;
one that is compressed is read whole.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wavetwin.ir.data_lock import SPLITS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.own_images import OwnImages, arrange
from wavetwin.runtime.data.root import ROOT_REMEDY, own_folder
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise_file

__all__ = ["damaged_member", "list_arrays", "read_arrays"]

_LOCAL_HEADER = 30
"""Bytes of a member's heading in a zip file, before its name and what follows that."""
_AGAIN = "write the file again with numpy.savez, or fetch it again"


def read_arrays(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images of the plan's file, as `arrange` divides them.

    Raises:
        RunError: the file is missing, damaged or of another form, or has other classes than the plan.
    """
    return arrange(list_arrays(data, root), data, official)


def list_arrays(data: DataPlan, root: Path | None) -> OwnImages:
    """Return the arrays of each split that the file has; any number of classes will do.

    Args:
        data: says the file.
        root: the data root.

    Raises:
        RunError: the file is missing, damaged or of another form.
    """
    file = own_folder(data, root) / (data.file or "*.npz")
    if not file.is_file():
        raise RunError("data-set-missing", "is not there", ROOT_REMEDY, subject=file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            there = [split for split in SPLITS if f"{split}_images" in members]
            if not there or there == ["train"]:
                raise _wrong(
                    file, "has no test_images and no val_images", "a test set needs one of these"
                )
            sets = {split: _read_split(archive, members, file, split) for split in there}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        found = recognise_file(file)
        is_other = found is not None and found.kind != "zip"
        reason = f"it is {found.description}" if found is not None and is_other else str(error)
        remedy = found.remedy if found is not None and is_other else None
        raise RunError(
            "data-set-damaged",
            f"cannot be read as a .npz file: {reason}",
            remedy or _AGAIN,
            subject=file,
        ) from error
    highest = max(int(each.labels.max(initial=0)) for each in sets.values())
    no_training = f"{file} has no train_images", "train_images and train_labels"
    return OwnImages(file, tuple(map(str, range(highest + 1))), sets, no_training)


def damaged_member(file: Path) -> str | None:
    """Return the first array of a file whose bytes are not those that its checksum is of."""
    with zipfile.ZipFile(file) as archive:
        return archive.testzip()


def _read_split(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], file: Path, split: str
) -> FoundArrays:
    images_name, labels_name = f"{split}_images", f"{split}_labels"
    if labels_name not in members:
        raise _wrong(file, f"has no {labels_name}", f"{images_name} needs its classes")
    images = _load(archive, members[images_name], file)
    labels = _load(archive, members[labels_name], file)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in _CHANNELS:
        raise _wrong(
            file,
            f"has {images_name} of {images.dtype}, {_shape(images)}",
            "uint8 of N x H x W, or of N x H x W x C with one or three channels, is read",
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise _wrong(
            file,
            f"has {labels_name} of {labels.dtype}, {_shape(labels)}, beside {len(images)} images",
            "one whole number an image is read",
        )
    if len(labels) and int(labels.min()) < 0:
        raise _wrong(file, f"has the class {labels.min()} in {labels_name}", "classes begin with 0")
    arranged = images[:, np.newaxis] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    directory = [members[name] for name in (images_name, labels_name)]
    key = "\0".join(f"{each.filename}\0{each.file_size}\0{each.CRC:08x}" for each in directory)
    return FoundArrays(
        arranged,
        np.array(labels, dtype=np.int64),
        is_mapped=isinstance(images, np.memmap),
        known_fingerprint=hashlib.sha256(key.encode()).hexdigest(),
        location=file,
    )


_CHANNELS = ((), (1,), (3,))


class _Header(NamedTuple):
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path) -> np.ndarray:
    """Return an array: mapped where it is stored as it is, copied where pages are changed."""
    with archive.open(member) as stream:
        header = _read_header(stream)
        start = stream.tell()
        if header.dtype.hasobject:
            raise _wrong(file, f"has objects in {member.filename}", "arrays of numbers are read")
        if member.compress_type != zipfile.ZIP_STORED:
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
    with file.open("rb") as stream:
        stream.seek(member.header_offset)
        heading = stream.read(_LOCAL_HEADER)
    name_length = int.from_bytes(heading[26:28], "little")
    extra_length = int.from_bytes(heading[28:30], "little")
    offset = member.header_offset + _LOCAL_HEADER + name_length + extra_length + start
    order = "F" if header.is_fortran else "C"
    if 0 in header.shape:
        return np.zeros(header.shape, header.dtype)
    return np.memmap(file, header.dtype, "c", offset, header.shape, order)


def _read_header(stream: Any) -> _Header:
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return _Header(*read(stream))


def _shape(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape)) or "a single value"


def _wrong(file: Path, text: str, remedy: str) -> RunError:
    return RunError("data-set-damaged", text, remedy, subject=file)
