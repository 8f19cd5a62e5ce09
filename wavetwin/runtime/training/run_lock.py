"""Lock a run folder, so that one process trains in it."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from pathlib import Path

from wavetwin.runtime.process.errors import RunError

__all__ = ["LOCK_WAIT_SECONDS", "lock_run"]

LOCK_WAIT_SECONDS = 10.0
"""A process that was asked to stop may still be saving its state."""


def lock_run(path: Path) -> int:
    """Return the open descriptor of the lock of a run folder, which this process holds.

    Raises:
        RunError: `in-use`, another process holds it, and has for ten seconds.
    """
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    give_up = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if time.monotonic() < give_up:
                time.sleep(0.2)
                continue
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
            os.close(lock)
            raise RunError(
                "in-use",
                f"another process trains in {path}{f' ({holder})' if holder else ''}",
                "wait for it, or start another run with --new",
            ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    return lock
