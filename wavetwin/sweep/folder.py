"""Keep one process at a sweep: its folder has a lock and what its members print, and no result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavetwin.files.lock import HeldError, hold_lock
from wavetwin.runtime.process.errors import RunError

__all__ = ["hold_sweep", "sweep_folder"]

FOLDER = ".sweeps"
"""In the folder of runs, whose other folders are experiments."""


def sweep_folder(runs: Path, name: str) -> Path:
    """Return where a sweep's lock and logs lie."""
    return runs / FOLDER / name


@contextmanager
def hold_sweep(folder: Path) -> Iterator[None]:
    """Hold a sweep's lock; the system lets go of it when this process ends, in whatever way.

    Raises:
        RunError: `in-use`, another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = hold_lock(folder / "lock")
    except HeldError as error:
        raise RunError(
            "in-use",
            f"another process drives a sweep of this name{error}",
            "wait for it, or stop it: the same command goes on; of another file: give one of the two a `name`",
            subject=folder,
        ) from error
    try:
        yield
    finally:
        os.close(lock)
