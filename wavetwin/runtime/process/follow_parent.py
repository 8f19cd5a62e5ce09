"""Let a child process end with its parent: no script goes on training unseen.

`python follow_parent.py PARENT COMMAND...` becomes the command, which then follows the process that has
the number: for a parent with threads, where nothing may run between fork and exec.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

__all__ = ["follow_parent", "following"]


def follow_parent() -> Callable[[], None] | None:
    """Return what a child calls before it becomes another program; None where the system cannot.

    If the thread that started it ends, in whatever way, the child gets SIGTERM, on which generated
    scripts save their state and stop (Linux).
    """
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)

    def follow() -> None:
        library.prctl(set_death_signal, signal.SIGTERM)

    return follow


def following(command: Sequence[str]) -> list[str]:
    """Return a command that becomes another one which follows this process."""
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def _main(parent: str, *command: str) -> None:
    follow = follow_parent()
    if follow is not None:
        follow()
    if os.getppid() != int(parent):
        # It has ended meanwhile.
        sys.exit(128 + signal.SIGTERM)
    os.execv(command[0], command)


if __name__ == "__main__":
    _main(*sys.argv[1:])
