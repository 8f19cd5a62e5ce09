"""Let a child process end with its parent: no script goes on training unseen."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

__all__ = ["follow_parent"]


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
