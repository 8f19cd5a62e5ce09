"""End a training whose validation loss gets no better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from wavetwin.ir.schedules import PLATEAU_THRESHOLD

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Counts the epochs since the best validation loss.

    Args:
        patience: epochs without a better loss that end the training; None: nothing does.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self._best = math.inf
        self._bad_epochs = 0

    @property
    def is_due(self) -> bool:
        """Whether the training ends."""
        return self.patience is not None and self._bad_epochs >= self.patience

    def follow(self, validation: Mapping[str, Any] | None) -> None:
        """Take in an epoch's validation scores."""
        if validation is None:
            return
        self._bad_epochs += 1
        if validation["loss"] < self._best * (1 - PLATEAU_THRESHOLD):
            self._best, self._bad_epochs = validation["loss"], 0

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers."""
        return {"best": self._best, "bad_epochs": self._bad_epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._best, self._bad_epochs = state["best"], state["bad_epochs"]

    def faults(self, state: Mapping[str, Any] | None, epoch: int) -> Iterator[str]:
        """Yield what of a state cannot have been left after so many epochs, a clause each."""
        if self.patience is None:
            return
        if not isinstance(state, dict):
            yield "early_stopping is missing or not of its kind"
            return
        best, bad = state.get("best"), state.get("bad_epochs")
        if not isinstance(best, float) or not best >= 0:
            yield f"best of early_stopping is {best!r}"
        if not isinstance(bad, int) or isinstance(bad, bool) or not 0 <= bad <= epoch:
            yield f"bad_epochs of early_stopping is {bad!r} after epoch {epoch}"
