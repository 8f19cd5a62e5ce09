"""Say when the last state is to be saved again."""

from __future__ import annotations

import time

from wavetwin.runtime.process.scripts import ScriptArguments

__all__ = ["SaveClock"]


class SaveClock:
    """Counts the time since a state was saved.

    Args:
        arguments: of the script: seconds and steps between states.
        counts_seconds: whether this process's clock decides; one does for all.
    """

    def __init__(self, arguments: ScriptArguments, counts_seconds: bool) -> None:
        self._seconds, self._steps = arguments.checkpoint_seconds, arguments.checkpoint_steps
        self._counts_seconds = counts_seconds
        self.restart()

    def restart(self) -> None:
        """Begin at zero."""
        self._saved = time.monotonic()

    def is_due(self, total_steps: int) -> bool:
        """Return whether a state is due after so many steps of the training."""
        if self._steps is not None and total_steps % self._steps == 0:
            return True
        return self._counts_seconds and time.monotonic() - self._saved >= self._seconds
