"""Keep the best weights of a run, and its snapshots, beside the last state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.training.checkpoint import save_best, save_snapshot

__all__ = ["KeptWeights"]


class KeptWeights:
    """What is kept of a run after an epoch: by the first process, and known to all.

    Args:
        checkpoints: where the files lie.
        plan: says how often a snapshot is kept.
        writes: whether this process does.
    """

    def __init__(self, checkpoints: Path, plan: TrainingPlan, writes: bool) -> None:
        self._checkpoints, self._plan, self._writes = checkpoints, plan, writes
        self._best = math.inf
        """Lowest validation error so far."""
        self._digests: dict[str, str] = {}
        """SHA-256 of the best weights and of the snapshots, by file name."""

    def after_epoch(
        self, epoch: int, model: nn.Module, validation: Mapping[str, Any] | None
    ) -> None:
        """Keep what is due after so many epochs.

        Raises:
            RunError: it cannot be written.
        """
        if epoch % self._plan.checkpoint_every == 0 and self._writes:
            self._keep(save_snapshot(self._checkpoints, model, epoch))
        if validation is not None and validation["top1_error"] < self._best:
            self._best = validation["top1_error"]
            if self._writes:
                self._keep(save_best(self._checkpoints, model, epoch))

    def state_dict(self) -> dict[str, Any]:
        """Return what a saved state has of it."""
        return {"best": self._best, "kept": self._digests}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back from a saved state."""
        self._best = state["best"]
        self._digests = dict(state.get("kept", {}))

    def _keep(self, kept: tuple[str, str]) -> None:
        name, digest = kept
        self._digests[name] = digest
