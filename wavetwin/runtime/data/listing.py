"""List image files and read the lists that come with data sets; imports no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.runtime.data.detected import FileList, Found, FoundArrays
from wavetwin.runtime.data.image_walk import IMAGE_SUFFIXES, ImageWalk, is_folder
from wavetwin.runtime.process.errors import RunError

__all__ = [
    "columns",
    "list_classes",
    "list_images",
    "no_training_folder",
    "no_training_images",
    "read_lines",
]


def list_images(folder: Path) -> list[tuple[str, int]]:
    """Return names below the folder and sizes in bytes of its images, sorted folder by folder.

    Raises:
        RunError: a folder or link cannot be read, or an image is reached twice.
    """
    walk = ImageWalk(folder)
    images = walk.images()
    walk.finish()
    return images


def list_classes(
    folder: Path,
    class_names: Sequence[str],
    below: str = "",
) -> FileList:
    """Return the images of these class folders; `below` is a folder inside each of them.

    Args:
        folder: what the class folders lie in.
        class_names: the classes, in the order of their numbers.
        below: where a class folder keeps its images.

    Raises:
        RunError: a folder is missing or cannot be read, or a class has no images.
    """
    walk = ImageWalk(folder)
    missing = [name for name in class_names if not is_folder(folder / name / below)]
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no folder for {list_some(missing)}",
            "unpack the data set again: every class needs its folder",
            subject=folder,
        )
    names: list[bytes] = []
    sizes: list[int] = []
    labels: list[int] = []
    empty: list[str] = []
    for label, name in enumerate(class_names):
        part = f"{name}/{below}" if below else name
        images = walk.images(part)
        if not images:
            empty.append(name)
        prefix = f"{part}/"
        names += [os.fsencode(prefix + image) for image, _ in images]
        sizes += [size for _, size in images]
        labels += [label] * len(images)
    walk.finish()
    if empty:
        raise RunError(
            "no-images",
            f"has no images of {list_some(empty)}",
            f"each class is a folder of image files ({', '.join(IMAGE_SUFFIXES)}): add some, or move "
            "away what is no class",
            subject=folder,
        )
    return FileList(folder, tuple(class_names), *columns(names, sizes, labels))


def no_training_images(test: FileList | FoundArrays, missing: str, addition: str) -> Found:
    """Return a test set without training images: it can be evaluated, not trained on.

    Args:
        test: the test set.
        missing: what is not there, as a sentence.
        addition: what has to be added to train.
    """
    reason = RunError(
        "no-images",
        f"there are no training images: {missing}",
        f"evaluating needs none; to train, add {addition}",
    )
    return Found(test.without_images(), test, no_training=reason)


def no_training_folder(folder: Path) -> tuple[str, str]:
    """Return what is missing, and what to add, where a folder of class folders is not there."""
    return f"{folder} is not there", f"{folder}/<class>/*"


def read_lines(file: Path, remedy: str) -> list[str]:
    """Return the lines of a text file that are not blank, without white space around them.

    Raises:
        RunError: it is missing, cannot be read or is empty.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise RunError(
            "data-set-damaged", f"cannot be read: {reason}", remedy, subject=file
        ) from error
    kept = [line for line in lines if line]
    if not kept:
        raise RunError("data-set-damaged", "is empty", remedy, subject=file)
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
