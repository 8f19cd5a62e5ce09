"""Say what a logger does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from wavetwin.runtime.process.user_config import UserConfig

__all__ = ["LoggedRun", "Logger", "Pixels"]

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """What a logger is told of a run when a session of it begins."""

    folder: Path
    """The run's."""
    name: str
    """The experiment's."""
    steps_before: int
    """Steps that are done: what has the number of a later one is of a session that was lost."""
    settings: Mapping[str, Any]
    """Numbers and texts of the training plan, by their names."""
    identity: str
    """A text that this run alone has, the same in all of its sessions."""
    config: UserConfig
    """The user's settings, all of them."""


class Logger(ABC):
    """Takes what a run writes down; all values are finite numbers.

    `Loggers` tells what a method raises: nothing of it stops a training.
    """

    @abstractmethod
    def add(self, section: str, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a record: `step`, or `epoch/train` and such with the epoch."""

    @abstractmethod
    def add_picture(self, name: str, epoch: int, pixels: Pixels) -> None:
        """Take a picture of an epoch, `(height, width, 3)`."""

    @abstractmethod
    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        """Take the network, called with images; nothing where a service has no place for it."""

    @abstractmethod
    def flush(self) -> None:
        """Hand over what was taken."""

    @abstractmethod
    def close(self, outcome: str) -> None:
        """End the session: `finished`, `stopped` or `failed`."""
