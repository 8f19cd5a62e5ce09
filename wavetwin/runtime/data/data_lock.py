"""Compare a user's own images with the lock of their spec, and make the lock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.data_lock import DataLock
from wavetwin.runtime.data.class_record import recorded_names
from wavetwin.runtime.data.detected import FileList, FoundArrays
from wavetwin.runtime.data.official import TAKE_IT_ALL_THE_SAME, Official
from wavetwin.runtime.process.errors import RunError

__all__ = ["LOCK_REMEDY", "compare_with_lock", "make_lock"]

Sets = Mapping[str, FileList | FoundArrays]
"""The images of each split that the disk has: `train`, `val`, `test`."""

LOCK_REMEDY = (
    "bring the images back as they were, or let `wavetwin data prepare SPEC` write the lock anew: it "
    "is another experiment then"
)


def make_lock(names: tuple[str, ...], sets: Sets, list_file: Path | None) -> DataLock:
    """Return the lock of images as the disk has them.

    Args:
        names: of the classes, in the order of their numbers.
        sets: the images.
        list_file: what divides them, where a list does.
    """
    digest = hashlib.sha256()
    for split, images in sets.items():
        digest.update(f"{split}\0{images.fingerprint}\0".encode())
    counts = {
        split: tuple(np.bincount(images.labels, minlength=len(names)).tolist())
        for split, images in sets.items()
    }
    return DataLock(
        classes=tuple(recorded_names(names) or ()),
        sha256=digest.hexdigest(),
        list_sha256=None
        if list_file is None
        else hashlib.sha256(list_file.read_bytes()).hexdigest(),
        **counts,
    )


def compare_with_lock(lock: DataLock, found: DataLock, official: Official, subject: Path) -> None:
    """Compare what the disk has with what the spec's lock says.

    Raises:
        RunError: the classes are others; or anything else differs, and other data are not allowed.
    """
    if found.classes != lock.classes:
        extra = [name for name in found.classes if name not in lock.classes]
        missing = [name for name in lock.classes if name not in found.classes]
        parts = [f"has {list_some(extra)}, which the spec's lock does not list"] if extra else []
        parts += [f"has no {list_some(missing)}"] if missing else []
        raise RunError(
            "data-lock-differs",
            ", and ".join(parts) or "has the classes of the spec's lock in another order",
            LOCK_REMEDY,
            subject=subject,
        )
    for split, planned in lock.counts.items():
        there = found.counts[split]
        if there != planned:
            text = f"has {sum(there)} images in {split}, the spec's lock says {sum(planned)}"
            official.refuse(_differs(text + _by_class(lock.classes, there, planned), subject))
    if found.counts == lock.counts and found.sha256 != lock.sha256:
        text = (
            "has as many images as the spec's lock says, and their names, sizes or order are others"
        )
        official.refuse(_differs(text, subject))


def _differs(text: str, subject: Path) -> RunError:
    return RunError("data-lock-differs", text, LOCK_REMEDY + TAKE_IT_ALL_THE_SAME, subject=subject)


def _by_class(names: tuple[str, ...], there: tuple[int, ...], planned: tuple[int, ...]) -> str:
    if not there or not planned:
        return ""
    changed = [
        f"{name} ({own} instead of {wanted})"
        for name, own, wanted in zip(names, there, planned, strict=True)
        if own != wanted
    ]
    return f": {list_some(changed)}"
