"""Sum metrics over an epoch, so that a resumed run takes them up where they were."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.process.processes import ALONE, Processes

__all__ = ["METRIC_NAMES", "NotFinite", "RunningMetrics"]

METRIC_NAMES: tuple[str, ...] = ("loss", "wrong", "penalty", "images", "steps")
_SHARED = ("loss", "wrong", "images")
"""What each process adds its own images to; penalty and steps are the same on all of them."""


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first value that is not a finite number, among all processes."""

    kind: str
    """`loss` or `penalty`."""
    step: int
    """Number of the step since the start of training, from 1."""


class RunningMetrics:
    """Sums over the epoch and since the last line of the records, over all processes.

    Values stay on the device until `drain`, so that training does not wait for each of them; they
    are added one after the other in double precision, so that the sums do not depend on when.
    """

    def __init__(self, has_penalty: bool, processes: Processes = ALONE) -> None:
        self._has_penalty = has_penalty
        self._processes = processes
        self._epoch = dict.fromkeys(METRIC_NAMES, 0.0)
        self._interval = dict.fromkeys(METRIC_NAMES, 0.0)
        self._pending: list[tuple[str, int, int, Tensor]] = []
        self._steps: list[int] = []
        """Steps counted since the last `drain`: the same on all processes."""

    def add_part(self, step: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one part of the batch of a step (from 1): its mean loss and its wrong predictions."""
        images = len(labels)
        wrong = (logits.detach().argmax(1) != labels).sum()
        values = torch.stack((loss.detach().float() * images, wrong.float()))
        self._pending.append(("loss", step, images, values))

    def add_penalty(self, step: int, penalty: Tensor) -> None:
        """Add a step's regularisation."""
        self._pending.append(("penalty", step, 0, penalty.detach().float().reshape(1)))

    def count_step(self, step: int) -> None:
        """Count a step (from 1), all parts of which were added."""
        self._steps.append(step)
        self._epoch["steps"] += 1
        self._interval["steps"] += 1

    def drain(self) -> NotFinite | None:
        """Take in what the devices have computed; return the first value that is not finite.

        Every process has to call it at the same steps.
        """
        found: NotFinite | None = None
        alone = self._processes.count == 1
        shared = {step: dict.fromkeys(_SHARED, 0.0) for step in self._steps}
        for kind, step, images, values in self._pending:
            numbers = values.tolist()
            if not all(math.isfinite(number) for number in numbers):
                found = NotFinite(kind, step)
                break
            if kind == "penalty":
                self._add("penalty", numbers[0])
                continue
            for name, value in zip(_SHARED, (*numbers, float(images)), strict=True):
                if alone:
                    self._add(name, value)
                else:
                    shared[step][name] += value
        self._pending.clear()
        self._steps.clear()
        if alone or not shared:
            return found
        if self._processes.any(int(found is not None))[0]:
            everywhere = [each for each in self._processes.gather(found) if each is not None]
            return min(everywhere, key=lambda each: each.step)
        own = [value for sums in shared.values() for value in sums.values()]
        for number, value in enumerate(self._processes.sum(own)):
            self._add(_SHARED[number % len(_SHARED)], value)
        return None

    def epoch_means(self) -> dict[str, float]:
        """Return means over the epoch so far."""
        return self._means(self._epoch)

    def take_interval_means(self) -> dict[str, float]:
        """Return means since the last call."""
        means = self._means(self._interval)
        self._interval = dict.fromkeys(METRIC_NAMES, 0.0)
        return means

    def start_epoch(self) -> None:
        """Begin again at zero."""
        self._epoch, self._interval = (
            dict.fromkeys(METRIC_NAMES, 0.0),
            dict.fromkeys(METRIC_NAMES, 0.0),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the sums; call `drain` first."""
        return {"epoch": dict(self._epoch), "interval": dict(self._interval)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._epoch, self._interval = dict(state["epoch"]), dict(state["interval"])

    def _add(self, name: str, value: float) -> None:
        self._epoch[name] += value
        self._interval[name] += value

    def _means(self, sums: dict[str, float]) -> dict[str, float]:
        images = max(1.0, sums["images"])
        means = {"loss": sums["loss"] / images, "top1_error": sums["wrong"] / images}
        if self._has_penalty:
            means["penalty"] = sums["penalty"] / max(1.0, sums["steps"])
        return means
