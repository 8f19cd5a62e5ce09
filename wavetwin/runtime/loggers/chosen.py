"""Choose the loggers: a row for each, and what the user wants of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wavetwin.runtime.loggers.logger import LoggedRun, Logger
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.user_config import UserConfig

__all__ = ["LOGGERS", "LoggerKind", "chosen_loggers"]

VARIABLE = "WAVETWIN_LOGGERS"


@dataclass(frozen=True, slots=True)
class LoggerKind:
    """A service or a format of files."""

    name: str
    """In the user's settings."""
    module: str
    """As it is imported; `wavetwin.diagnostics.extras` knows what brings it."""
    open: Callable[[LoggedRun], Logger]
    """Begin a session; imports the module."""


def _tensorboard(run: LoggedRun) -> Logger:
    from wavetwin.runtime.loggers.tensorboard_events import TensorBoardEvents

    return TensorBoardEvents(run)


def _mlflow(run: LoggedRun) -> Logger:
    from wavetwin.runtime.loggers.mlflow_run import MlflowRun

    return MlflowRun(run)


def _wandb(run: LoggedRun) -> Logger:
    from wavetwin.runtime.loggers.wandb_run import WandbRun

    return WandbRun(run)


LOGGERS: dict[str, LoggerKind] = {
    row.name: row
    for row in (
        LoggerKind("tensorboard", "tensorboard", _tensorboard),
        LoggerKind("mlflow", "mlflow", _mlflow),
        LoggerKind("wandb", "wandb", _wandb),
    )
}
"""By the name in the user's settings."""
DEFAULT = (LOGGERS["tensorboard"],)


def chosen_loggers(
    config: UserConfig, environment: Mapping[str, str] | None = None
) -> Sequence[LoggerKind]:
    """Return the loggers of WAVETWIN_LOGGERS, else of the user's settings, else TensorBoard.

    The variable has names with commas between them, and none where it is empty.

    Raises:
        RunError: `bad-config`, there is no logger of a name.
    """
    given = (os.environ if environment is None else environment).get(VARIABLE)
    names = config.texts("loggers") if given is None else _split(given)
    if names is None:
        return DEFAULT
    for name in names:
        if name not in LOGGERS:
            known = ", ".join(LOGGERS)
            if given is None:
                raise config.refuse(f"names the logger {name!r}; there are {known}")
            raise RunError(
                "bad-config", f"names the logger {name!r}; there are {known}", subject=VARIABLE
            )
    return tuple(LOGGERS[name] for name in dict.fromkeys(names))


def _split(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))
