"""Listing image files and reading the lists that come with data sets; imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wavetwin.runtime.data.found import FileList, shown
from wavetwin.runtime.errors import RunError

__all__ = [
    "IMAGE_SUFFIXES",
    "class_folders",
    "columns",
    "list_classes",
    "list_images",
    "read_lines",
]

IMAGE_SUFFIXES = (
    ".bmp",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
"""Files with other names are no images; case does not matter."""


def class_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def list_images(folder: Path) -> list[tuple[str, int]]:
    """Return names below the folder and sizes in bytes of its images, sorted folder by folder."""
    found: list[tuple[str, int]] = []
    walk = sorted(os.walk(folder, onerror=_raise, followlinks=True))
    for parent, _, names in walk:
        below = Path(parent).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                found.append((prefix + name, os.stat(f"{parent}/{name}").st_size))  # noqa: PTH116
    return found


def list_classes(
    folder: Path,
    class_names: Sequence[str],
    below: str = "",
    numbers: Mapping[str, int] | None = None,
) -> FileList:
    """Return the images of these class folders; `below` is a folder inside each of them.

    Args:
        folder: what the class folders lie in.
        class_names: the classes, in the order of their numbers.
        below: where a class folder keeps its images.
        numbers: of the classes, where they are not their places in `class_names`.

    Raises:
        RunError: a folder is missing or cannot be read, or a class has no images.
    """
    missing = [name for name in class_names if not (folder / name / below).is_dir()]
    if missing:
        raise RunError(
            f"{folder} has no folder for {shown(missing)}",
            "unpack the data set again: every class needs its folder",
        )
    names: list[bytes] = []
    sizes: list[int] = []
    labels: list[int] = []
    empty: list[str] = []
    for label, name in enumerate(class_names):
        try:
            images = list_images(folder / name / below)
        except OSError as error:
            raise RunError(f"{error.filename} cannot be read: {error.strerror}") from error
        if not images:
            empty.append(name)
        prefix = f"{name}/{below}/" if below else f"{name}/"
        names += [os.fsencode(prefix + image) for image, _ in images]
        sizes += [size for _, size in images]
        labels += [label if numbers is None else numbers[name]] * len(images)
    if empty:
        raise RunError(
            f"{folder} has no images of {shown(empty)}",
            f"each class is a folder of image files ({', '.join(IMAGE_SUFFIXES)})",
        )
    return FileList(folder, tuple(class_names), *columns(names, sizes, labels))


def read_lines(file: Path, remedy: str) -> list[str]:
    """Return the lines of a text file that are not blank, without white space around them.

    Raises:
        RunError: it is missing, cannot be read or is empty.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise RunError(f"{file} cannot be read: {reason}", remedy) from error
    kept = [line for line in lines if line]
    if not kept:
        raise RunError(f"{file} is empty", remedy)
    return kept


def columns(
    names: Sequence[bytes], sizes: Sequence[int], labels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the arrays of a `FileList`."""
    return (
        np.array(names, dtype=np.bytes_),
        np.array(sizes, dtype=np.int64),
        np.array(labels, dtype=np.int64),
    )


def _raise(error: OSError) -> None:
    raise error
