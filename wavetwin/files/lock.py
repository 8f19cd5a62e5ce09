"""Hold a lock file, which says who holds it; the system lets go of it when the process ends, in whatever way."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from pathlib import Path

__all__ = ["HeldError", "hold_lock"]

_PAUSE_SECONDS = 0.05


class HeldError(Exception):
    """Another process holds a lock; its text names that process in brackets, where the file does."""


def hold_lock(file: Path, seconds: float = 0.0) -> int:
    """Return the open descriptor of a lock file, which this process holds until it is closed.

    Args:
        file: made where it is missing, in a folder that is there.
        seconds: to wait for another holder.

    Raises:
        HeldError: another process holds it, and has for so long.
        OSError: the file cannot be opened or written, or its file system has no locks; the error names it.
    """
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    give_up = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() < give_up:
                time.sleep(_PAUSE_SECONDS)
                continue
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
            os.close(lock)
            raise HeldError(f" ({holder})" if holder else "") from error
        except OSError as error:
            os.close(lock)
            raise OSError(error.errno, error.strerror, str(file)) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    return lock
