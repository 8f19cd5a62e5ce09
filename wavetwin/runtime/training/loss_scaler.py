"""Scale the loss of float16 training, so that small gradients do not become 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["LossScaler"]

_LEAST = 2.0**-16
"""Where the scale falls below it, gradients are not finite at any: 32 halvings from the first one."""


class LossScaler:
    """torch's `GradScaler`, and what it did in the current epoch.

    A step whose gradients are not finite is skipped and the scale halved; after 2000 steps without one
    it is doubled. All processes of a run have the same gradients, and so the same scale.

    Args:
        device: of the network.
    """

    def __init__(self, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type)
        self._skipped = 0

    @property
    def has_failed(self) -> bool:
        """Whether no scale helps: the gradients themselves are not finite."""
        return self._scaler.get_scale() < _LEAST

    def scale(self, loss: Tensor) -> Tensor:
        """Return a loss times the scale."""
        return self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the scale; what follows sees them as they are."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the optimiser step where all gradients are finite, and set the next step's scale."""
        before = self._scaler.get_scale()
        self._scaler.step(optimizer)
        self._scaler.update()
        self._skipped += self._scaler.get_scale() < before

    def take_epoch(self) -> dict[str, float]:
        """Return the steps that were skipped in the epoch and the scale at its end, and count anew."""
        found = {"skipped_steps": self._skipped, "loss_scale": self._scaler.get_scale()}
        self._skipped = 0
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers."""
        return {"scaler": self._scaler.state_dict(), "skipped": self._skipped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._scaler.load_state_dict(state["scaler"])
        self._skipped = state["skipped"]

    def faults(self, state: Any, step: int) -> Iterator[str]:
        """Yield what of a state cannot have been left after so many steps of an epoch, a clause each."""
        if not isinstance(state, dict) or not isinstance(state.get("scaler"), dict):
            yield "loss_scaler is missing or not of its kind"
            return
        found, own = state["scaler"], self._scaler.state_dict()
        if found.keys() != own.keys():
            yield "loss_scaler has other numbers than torch's"
            return
        scale, skipped = found["scale"], state.get("skipped")
        is_number = isinstance(scale, float) and math.isfinite(scale) and scale > 0
        # It is only ever halved and doubled.
        if not is_number or math.frexp(scale)[0] != 0.5:
            yield f"the loss scale is {scale!r}, and no power of two"
        if not isinstance(skipped, int) or not 0 <= skipped <= step:
            yield f"{skipped!r} steps were skipped of {step}"
        for name in sorted(own.keys() - {"scale", "_growth_tracker"}):
            if found[name] != own[name]:
                yield f"{name} of the loss scaler is {found[name]!r}, and {own[name]!r} by torch"
