"""Hold a lock file, which says who holds it; the system lets go of it when the process ends, in whatever way."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import time
from pathlib import Path

__all__ = ["HeldError", "hold_lock", "lock_file"]

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
        OSError: the file cannot be opened or written, or as `lock_file`.
    """
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    give_up = time.monotonic() + seconds
    while True:
        try:
            lock_file(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, file)
            break
        except BlockingIOError as error:
            if time.monotonic() < give_up:
                time.sleep(_PAUSE_SECONDS)
                continue
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
            os.close(lock)
            raise HeldError(f" ({holder})" if holder else "") from error
        except OSError:
            os.close(lock)
            raise
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    return lock


def lock_file(lock: int, kind: int, file: Path) -> None:
    """Lock an open file by flock(2).

    Raises:
        BlockingIOError: another process holds it, and `kind` has LOCK_NB.
        OSError: ENOLCK with the file's name: its file system has no locks, as some that clusters share.
    """
    try:
        fcntl.flock(lock, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(errno.ENOLCK, f"{error.strerror}: no locks here", str(file)) from error
