"""Show progress: bars on a terminal, plain lines at intervals everywhere else.

Bars need rich; where it is not installed, a terminal gets the plain lines, too.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from wavetwin.diagnostics import terminal
from wavetwin.diagnostics.system_errors import discard
from wavetwin.diagnostics.terminal import printable, printable_lines

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressReport", "say"]

LINE_SECONDS = 30.0
"""Between plain lines; epochs always have theirs."""
BAR_SECONDS = 0.1
"""Between two drawings of a bar."""


def say(text: str) -> None:
    """Write one line."""
    terminal.say(text + "\n")


class ProgressReport:
    """Shows how far a loop is, images a second and time left.

    Args:
        what: the loop's name.
        total: its steps.
        done: steps that an earlier session has done.
        is_shown: False for a process that leaves speaking to another one: nothing is written.
        outlives_output: whether a standard output that takes no more (a terminal that was closed,
            a full disk) is noted in `lost` instead of being an error.
    """

    def __init__(
        self,
        what: str,
        total: int,
        done: int = 0,
        is_shown: bool = True,
        outlives_output: bool = False,
    ) -> None:
        self.lost: OSError | None = None
        """Why standard output takes no more; nothing is written from then on."""
        self._outlives_output = outlives_output
        self._what, self._total, self._first, self._done = what, total, done, done
        self._images = 0
        self._is_shown = is_shown
        self._started = time.monotonic()
        self._last_line = self._started
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if is_shown and sys.stdout.isatty() and _has_rich():
            self._bar = _make_bar()
            self._task = self._bar.add_task(printable(what), total=total, completed=done, note="")

    def __enter__(self) -> ProgressReport:
        with self._noting_loss():
            if self._bar is not None:
                self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._noting_loss():
            if self._bar is not None:
                self._bar.stop()

    @property
    def images_per_second(self) -> float:
        """Since the start."""
        return self._images / max(1e-9, time.monotonic() - self._started)

    def advance(self, images: int, note: str = "") -> None:
        """Count one step of this many images."""
        self._done += 1
        self._images += images
        text = f"{note}  {self.images_per_second:.0f} images/s".strip()
        moment = time.monotonic()
        if self._bar is not None and self._task is not None:
            is_due = moment - self._last_line >= BAR_SECONDS
            self._last_line = moment if is_due else self._last_line
            with self._noting_loss():
                self._bar.update(
                    self._task, completed=self._done, note=printable(text), refresh=is_due
                )
            return
        if self._is_shown and moment - self._last_line >= LINE_SECONDS:
            self._last_line = moment
            line = f"{self._what}: {self._done}/{self._total}  {text}  {self._left()} left"
            with self._noting_loss():
                say(line)

    def say(self, text: str) -> None:
        """Write one line beside the bar."""
        with self._noting_loss():
            if self._bar is not None:
                self._bar.console.print(printable_lines(text), markup=False, highlight=False)
            elif self._is_shown:
                say(text)

    @contextmanager
    def _noting_loss(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._outlives_output:
                raise
            bar, self._bar = self._bar, None
            self.lost, self._is_shown = error, False
            discard(sys.stdout)
            if bar is not None:
                # It has put itself in the place of both streams: standard error is still heard.
                bar.stop()

    def _left(self) -> str:
        steps = max(1, self._done - self._first)
        seconds = (time.monotonic() - self._started) / steps * (self._total - self._done)
        minutes, hours = int(seconds // 60) % 60, int(seconds // 3600)
        return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}"


@functools.cache
def _has_rich() -> bool:
    """Return whether bars can be drawn; says once that they cannot."""
    found = importlib.util.find_spec("rich") is not None
    if not found:
        say("rich is not installed: progress is shown as plain lines")
    return found


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=Console(),
        # A thread that draws would be the one that meets a terminal that was closed.
        auto_refresh=False,
    )
