"""Handle stop requests: the signals that a training run hears, and what it does by them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.process.scripts import STOP_SIGNALS

__all__ = ["StopRequest"]


class StopRequest:
    """Hears signals between `install` and `restore`; the run asks for them after each step."""

    def __init__(self) -> None:
        self.leaves_at_once: Callable[[int], NoReturn] | None = None
        """What is called with a signal as soon as it comes, while nothing would be lost by it."""
        self._signal: int | None = None
        self._old_handlers: dict[int, Any] = {}

    def install(self) -> None:
        """Hear the signals from now on, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        # A command like nohup has SIGHUP ignored, so that it changes nothing.
        heard = [
            number
            for number in STOP_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        ]
        self._old_handlers = {s: signal.signal(s, self._on_signal) for s in heard}

    def restore(self) -> None:
        """Leave the signals to who heard them before."""
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)

    def number(self, progress: ProgressReport) -> int:
        """Return the signal to stop by; SIGPIPE where nobody takes the output any more, 0 for none."""
        return self._signal or (signal.SIGPIPE if progress.lost is not None else 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.leaves_at_once is not None:
            self.leaves_at_once(number)
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    def leave(self, number: int, progress: ProgressReport, steps: int) -> NoReturn:
        """Say that a signal has stopped the run after so many steps, which are saved, and exit."""
        self.leaves_at_once = None
        name = signal.Signals(number).name
        lost = progress.lost
        progress.say(f"stopped by {name}; saved after {steps} steps, start again")
        if lost is not None and number == signal.SIGPIPE:
            with suppress(OSError):
                complain(
                    f"stopped: standard output cannot be written ({lost.strerror}); "
                    f"saved after {steps} steps, start again\n"
                )
        raise SystemExit(128 + number)
