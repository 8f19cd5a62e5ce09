"""Running metrics of training: sums that a resumed run takes up where they were."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["RunningMetrics"]

_NAMES: tuple[str, ...] = ("loss", "wrong", "penalty", "images", "steps")


class RunningMetrics:
    """Sums over the epoch and since the last line of the records.

    Values stay on the device until `drain`, so that training does not wait for each of them; they
    are added one after the other in double precision, so that the sums do not depend on when.
    """

    def __init__(self, has_penalty: bool) -> None:
        self._has_penalty = has_penalty
        self._epoch = dict.fromkeys(_NAMES, 0.0)
        self._interval = dict.fromkeys(_NAMES, 0.0)
        self._pending: list[tuple[str, int, Tensor]] = []

    def add_part(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one part of a batch: its mean loss and its wrong guesses."""
        images = len(labels)
        wrong = (logits.detach().argmax(1) != labels).sum()
        self._pending.append(
            ("loss", images, torch.stack((loss.detach().float() * images, wrong.float())))
        )

    def add_penalty(self, penalty: Tensor) -> None:
        """Add a step's regularisation."""
        self._pending.append(("penalty", 0, penalty.detach().float().reshape(1)))

    def count_step(self) -> None:
        """Count one step."""
        self._epoch["steps"] += 1
        self._interval["steps"] += 1

    def drain(self) -> str | None:
        """Take in what the device has computed; return what is not finite, `loss` or `penalty`."""
        for kind, images, values in self._pending:
            numbers = values.tolist()
            if not all(math.isfinite(number) for number in numbers):
                return kind
            for sums in (self._epoch, self._interval):
                sums[kind] += numbers[0]
                if kind == "loss":
                    sums["wrong"] += numbers[1]
                    sums["images"] += images
        self._pending.clear()
        return None

    def epoch_means(self) -> dict[str, float]:
        """Return means over the epoch so far."""
        return self._means(self._epoch)

    def take_interval_means(self) -> dict[str, float]:
        """Return means since the last call."""
        means = self._means(self._interval)
        self._interval = dict.fromkeys(_NAMES, 0.0)
        return means

    def start_epoch(self) -> None:
        """Begin again at zero."""
        self._epoch, self._interval = dict.fromkeys(_NAMES, 0.0), dict.fromkeys(_NAMES, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums; call `drain` first."""
        return {"epoch": dict(self._epoch), "interval": dict(self._interval)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._epoch, self._interval = dict(state["epoch"]), dict(state["interval"])

    def _means(self, sums: dict[str, float]) -> dict[str, float]:
        images = max(1.0, sums["images"])
        means = {"loss": sums["loss"] / images, "top1_error": sums["wrong"] / images}
        if self._has_penalty:
            means["penalty"] = sums["penalty"] / max(1.0, sums["steps"])
        return means
