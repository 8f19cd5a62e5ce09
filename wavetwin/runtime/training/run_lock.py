"""Lock a run folder, so that one process trains in it."""

from __future__ import annotations

from pathlib import Path

from wavetwin.files.lock import HeldError, hold_lock
from wavetwin.runtime.process.errors import RunError

__all__ = ["LOCK_WAIT_SECONDS", "lock_run"]

LOCK_WAIT_SECONDS = 10.0
"""A process that was asked to stop may still be saving its state."""


def lock_run(path: Path) -> int:
    """Return the open descriptor of the lock of a run folder, which this process holds.

    Raises:
        RunError: `in-use`, another process holds it, and has for ten seconds.
    """
    try:
        return hold_lock(path / "lock", LOCK_WAIT_SECONDS)
    except HeldError as error:
        raise RunError(
            "in-use",
            f"another process trains in {path}{error}",
            "wait for it, or start another run with --new",
        ) from error
