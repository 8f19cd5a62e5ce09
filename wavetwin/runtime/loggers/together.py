"""Hand a run's records to all chosen loggers; one that fails is left out from then on."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from wavetwin.diagnostics.extras import extra_of
from wavetwin.runtime.loggers.chosen import LoggerKind
from wavetwin.runtime.loggers.logger import LoggedRun, Logger, Pixels
from wavetwin.runtime.process.progress import say

__all__ = ["Loggers"]


_ALL = "metrics.jsonl has it all"


class Loggers:
    """The loggers of one session."""

    def __init__(self) -> None:
        self._open: dict[str, Logger] = {}

    def open(self, kinds: Sequence[LoggerKind], run: LoggedRun) -> None:
        """Begin a session with each logger; what is not installed or cannot begin is told."""
        for kind in kinds:
            if importlib.util.find_spec(kind.module) is None:
                extra = extra_of(kind.module)
                remedy = "" if extra is None else f" ({extra.remedy(kind.module)})"
                say(f"{kind.module} is not installed{remedy}: nothing is logged there; {_ALL}")
                continue
            try:
                self._open[kind.name] = kind.open(run)
            # Whatever a service does, the training goes on.
            except Exception as error:
                _tell(kind.name, f"is left out: {_first_line(error)}")

    def add(self, section: str, step: int, values: Mapping[str, Any]) -> None:
        """Hand over the finite numbers of a record."""
        numbers = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
        }
        if numbers:
            self._each(lambda logger: logger.add(section, step, numbers))

    def add_picture(self, name: str, epoch: int, make: Callable[[], Pixels]) -> None:
        """Hand over a picture, made only where there is a logger; what fails leaves it out."""
        if not self._open:
            return
        try:
            pixels = make()
        except Exception as error:
            _tell(name, f"is not drawn: {_first_line(error)}")
            return
        self._each(lambda logger: logger.add_picture(name, epoch, pixels))

    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        """Hand over the network; one that a logger cannot take is left out there."""
        for name, logger in self._open.items():
            try:
                logger.add_graph(model, images)
            except Exception as error:
                _tell(name, f"does not take the network: {_first_line(error)}")

    def flush(self) -> None:
        """Hand over what loggers keep."""
        self._each(lambda logger: logger.flush())

    def close(self, outcome: str) -> None:
        """End the session of each."""
        self._each(lambda logger: logger.close(outcome))
        self._open.clear()

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._open.items()):
            try:
                call(logger)
            except Exception as error:
                del self._open[name]
                _tell(name, f"is left out from here on: {_first_line(error)}; {_ALL}")


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _tell(name: str, text: str) -> None:
    say(f"warning: {name} {text}")
