"""Start child processes that end with ours: no script goes on training unseen."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence


def run_child(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; 128 + n where signal n ended it.

    If this process is killed, the child gets SIGTERM (on Linux), on which the generated scripts save
    their state and stop. An interrupt from the terminal reaches both: the child decides what to do.
    """
    process = subprocess.Popen(command, preexec_fn=_follow_parent())
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code


def _follow_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)

    def follow() -> None:
        library.prctl(set_death_signal, signal.SIGTERM)

    return follow
