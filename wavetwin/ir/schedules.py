"""Define how the learning rate changes over the epochs: one class a schedule.

A rate is a factor of the optimiser's initial one and changes between epochs; the warm-up, which any
schedule may have, raises it step by step before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from wavetwin.ir.section import Kind, Kinds, declare

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Losses",
    "Milestones",
    "Plateau",
    "Schedule",
    "Step",
]

PLATEAU_THRESHOLD = 1e-4
"""A loss counts as better where it is lower by this share, as in torch's ReduceLROnPlateau."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What a schedule that follows the loss remembers."""

    factor: float = 1.0
    """Of the rate, so far."""
    best: float = math.inf
    bad_epochs: int = 0
    """Epochs since the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Kind):
    """How the learning rate changes over the epochs."""

    tag = "name"
    name: ClassVar[str]
    effect: ClassVar[str]
    """What it does to the learning rate, as text that goes on after its name."""
    follows_loss: ClassVar[bool] = False
    """Whether the rate depends on the validation loss."""

    warmup_epochs: int = declare(0, label="epochs of warm-up", last=True, ge=0, le=100000)
    """Epochs of linear increase from nearly zero, before the rule."""

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the factor of an epoch of so many, counted from 0; without warm-up and loss."""
        return 1.0

    def after_epoch(self, losses: Losses, loss: float) -> Losses:
        """Return what to remember after an epoch's loss."""
        return losses

    def first_change(self) -> tuple[str, int]:
        """Return the field that says after how many epochs the rate first changes, and how many."""
        return self.tag, 0

    def changes_from(self, epochs: int) -> tuple[int, ...]:
        """Return the listed epochs of a change that so many epochs do not reach."""
        return ()

    def rule(self, epochs: int) -> str:
        """Return the rule over so many epochs as text."""
        return self.name

    def describe(self, epochs: int) -> str:
        """Return rule and warm-up as text."""
        warmup = f", {self.warmup_epochs} epochs of warm-up" if self.warmup_epochs else ""
        return self.rule(epochs) + warmup


@dataclass(frozen=True, slots=True, kw_only=True)
class FallingSchedule(Schedule):
    """A schedule whose rate falls by a factor."""

    gamma: float = declare(0.1, label="factor of the learning rate", last=True, gt=0.0, lt=1.0)
    """Factor of each change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(FallingSchedule):
    """Falls every so many epochs."""

    name = "step"
    effect = "lowers the rate again and again, after the same number of epochs"

    step_epochs: int = declare(30, label="epochs a learning rate lasts", ge=1, le=100000)
    """Epochs between changes."""

    def rate(self, epoch: int, epochs: int) -> float:
        """Return gamma once for every change so far."""
        return self.gamma ** (epoch // self.step_epochs)

    def first_change(self) -> tuple[str, int]:
        """Return the epochs of the first rate."""
        return "step_epochs", self.step_epochs

    def rule(self, epochs: int) -> str:
        """Return the factor, when it is taken, and how often."""
        changes = max(0, epochs - 1) // self.step_epochs
        return f"x {self.gamma:g} every {self.step_epochs} epochs ({changes} times)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestones(FallingSchedule):
    """Falls after the epochs that are listed."""

    name = "milestones"
    effect = "lowers the rate after the epochs that are listed"

    milestones: tuple[int, ...] = declare(min_length=1, items={"ge": 1, "le": 100000})
    """Epochs after which the rate changes, increasing."""

    def rate(self, epoch: int, epochs: int) -> float:
        """Return gamma once for every milestone so far."""
        return self.gamma ** sum(epoch >= mark for mark in self.milestones)

    def first_change(self) -> tuple[str, int]:
        """Return the first milestone."""
        return "milestones", self.milestones[0]

    def changes_from(self, epochs: int) -> tuple[int, ...]:
        """Return the milestones that are not reached."""
        return tuple(mark for mark in self.milestones if mark >= epochs)

    def rule(self, epochs: int) -> str:
        """Return the factor and when it is taken."""
        return f"x {self.gamma:g} after {', '.join(map(str, self.milestones))} epochs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine(Schedule):
    """Falls along half a cosine over the epochs after the warm-up."""

    name = "cosine"
    effect = "lowers the rate a little with every epoch, to nearly zero at the end"

    def rate(self, epoch: int, epochs: int) -> float:
        """Return half a cosine, from 1 to nearly 0."""
        after = max(0, epoch - self.warmup_epochs)
        span = max(1, epochs - self.warmup_epochs)
        return 0.5 * (1 + math.cos(math.pi * after / span))

    def first_change(self) -> tuple[str, int]:
        """Return the first epoch after the warm-up: that one has the whole rate."""
        return self.tag, self.warmup_epochs + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau(FallingSchedule):
    """Falls where the validation loss has not become better for so many epochs."""

    name = "plateau"
    effect = "lowers the rate where the validation loss gets no better"
    follows_loss = True

    patience: int = declare(10, ge=0, le=100000)
    """Epochs without a better validation loss before a change."""

    def after_epoch(self, losses: Losses, loss: float) -> Losses:
        """Return the factor after the loss, made smaller where patience is at its end."""
        factor, best, bad_epochs = losses.factor, losses.best, losses.bad_epochs + 1
        if loss < best * (1 - PLATEAU_THRESHOLD):
            best, bad_epochs = loss, 0
        if bad_epochs > self.patience:
            factor, bad_epochs = factor * self.gamma, 0
        return Losses(factor, best, bad_epochs)

    def first_change(self) -> tuple[str, int]:
        """Return the epochs that a change takes at least."""
        # The first epoch is the best so far; one more than the patience has to be no better.
        return "patience", self.patience + 2

    def rule(self, epochs: int) -> str:
        """Return the factor and when it is taken."""
        return f"x {self.gamma:g} after {self.patience} epochs without progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Schedule):
    """The rate stays."""

    name = "constant"
    effect = "keeps the rate as it is"


SCHEDULES = Kinds[Schedule](Step, Milestones, Cosine, Plateau, Constant)
"""By the name in a spec; the first is the default."""
