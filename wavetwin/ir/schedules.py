"""Define how the learning rate changes: one class a schedule.

A rate is a factor of the optimiser's initial one and changes between epochs, or with every step where
a schedule acts so; the warm-up, which any schedule may have, raises it step by step before.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Kind, Kinds, declare

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Linear",
    "Losses",
    "Milestones",
    "Moment",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Schedule",
    "Step",
]

PLATEAU_THRESHOLD = 1e-4
"""A loss counts as better where it is lower by this share, as in torch's ReduceLROnPlateau."""


@frozen
class Losses:
    """What a schedule that follows the loss remembers."""

    factor: float = 1.0
    """Of the rate, so far."""
    best: float = math.inf
    bad_epochs: int = 0
    """Epochs since the best."""


@frozen
class Moment:
    """A step of a training."""

    epoch: int
    """From 0."""
    step: int
    """Within its epoch, from 0."""
    steps_per_epoch: int
    epochs: int
    """Of the training."""


@frozen(kw_only=True)
class Schedule(Kind):
    """How the learning rate changes."""

    tag = "name"
    name: ClassVar[str]
    effect: ClassVar[str]
    """What it does to the learning rate, as text that goes on after its name."""
    follows_loss: ClassVar[bool] = False
    """Whether the rate depends on the validation loss."""

    warmup_epochs: int = declare(0, label="epochs of warm-up", last=True, ge=0, le=100000)
    """Epochs of linear increase from nearly zero, before the rule."""

    def rate(self, moment: Moment) -> float:
        """Return the factor of a step; without warm-up and loss."""
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

    def without_effect(self, epochs: int) -> tuple[str, str] | None:
        """Return a field that does not do what it seems to over so many epochs, and why, or None."""
        return None

    def rule(self, epochs: int) -> str:
        """Return the rule over so many epochs as text."""
        return self.name

    def describe(self, epochs: int) -> str:
        """Return rule and warm-up as text."""
        warmup = f", {self.warmup_epochs} epochs of warm-up" if self.warmup_epochs else ""
        return self.rule(epochs) + warmup


@frozen(kw_only=True)
class FallingSchedule(Schedule):
    """A schedule whose rate falls by a factor."""

    gamma: float = declare(0.1, label="factor of the learning rate", last=True, gt=0.0, lt=1.0)
    """Factor of each change."""


@frozen(kw_only=True)
class Step(FallingSchedule):
    """Falls every so many epochs."""

    name = "step"
    effect = "lowers the rate again and again, after the same number of epochs"

    step_epochs: int = declare(30, label="epochs a learning rate lasts", ge=1, le=100000)
    """Epochs between changes."""

    def rate(self, moment: Moment) -> float:
        """Return gamma once for every change so far."""
        return self.gamma ** (moment.epoch // self.step_epochs)

    def first_change(self) -> tuple[str, int]:
        """Return the epochs of the first rate."""
        return "step_epochs", self.step_epochs

    def rule(self, epochs: int) -> str:
        """Return the factor, when it is taken, and how often."""
        changes = max(0, epochs - 1) // self.step_epochs
        return f"x {self.gamma:g} every {self.step_epochs} epochs ({changes} times)"


@frozen(kw_only=True)
class Milestones(FallingSchedule):
    """Falls after the epochs that are listed."""

    name = "milestones"
    effect = "lowers the rate after the epochs that are listed"

    milestones: tuple[int, ...] = declare(min_length=1, items={"ge": 1, "le": 100000})
    """Epochs after which the rate changes, increasing."""

    def rate(self, moment: Moment) -> float:
        """Return gamma once for every milestone so far."""
        return self.gamma ** sum(moment.epoch >= mark for mark in self.milestones)

    def first_change(self) -> tuple[str, int]:
        """Return the first milestone."""
        return "milestones", self.milestones[0]

    def changes_from(self, epochs: int) -> tuple[int, ...]:
        """Return the milestones that are not reached."""
        return tuple(mark for mark in self.milestones if mark >= epochs)

    def rule(self, epochs: int) -> str:
        """Return the factor and when it is taken."""
        return f"x {self.gamma:g} after {', '.join(map(str, self.milestones))} epochs"


Every = Literal["epoch", "step"]


@frozen(kw_only=True)
class EndingSchedule(Schedule):
    """A schedule that goes to its end along a curve, from the end of the warm-up on."""

    end_factor: float = declare(0.0, label="factor at the end", later=True, ge=0.0, lt=1.0)
    """Of the learning rate, where the curve ends."""

    def acts(self) -> Every:
        """Return what changes the rate."""
        return "step"

    def done(self, moment: Moment) -> tuple[int, int]:
        """Return how much is done after the warm-up, and of how much: epochs, or steps."""
        after, span = moment.epoch - self.warmup_epochs, moment.epochs - self.warmup_epochs
        if self.acts() == "epoch":
            return max(0, after), max(1, span)
        steps = moment.steps_per_epoch
        return max(0, after * steps + moment.step), max(1, span * steps)

    def from_end(self, height: float) -> float:
        """Return the rate at a height above the end, from 1 at the start to 0."""
        return self.end_factor + (1 - self.end_factor) * height

    def first_change(self) -> tuple[str, int]:
        """Return the first epoch after the warm-up: that one has the whole rate, or its first step."""
        return self.tag, self.warmup_epochs + (self.acts() == "epoch")

    def rule(self, epochs: int) -> str:
        """Return the name, where it ends, and what changes the rate where that is a step."""
        end = f" to x {self.end_factor:g}" if self.end_factor else ""
        return f"{self.name}{end}{', step by step' if self.acts() == 'step' else ''}"


@frozen(kw_only=True)
class Cosine(EndingSchedule):
    """Falls along half a cosine over the epochs after the warm-up."""

    name = "cosine"
    effect = (
        "lowers the rate along half a cosine, to nearly its end factor with the last epoch or step"
    )

    every: Every = declare("epoch", later=True)
    """Whether the rate changes between epochs or with every step."""

    def acts(self) -> Every:
        """Return what changes the rate."""
        return self.every

    def rate(self, moment: Moment) -> float:
        """Return half a cosine, from 1 to nearly the end."""
        after, span = self.done(moment)
        return self.from_end(0.5 * (1 + math.cos(math.pi * after / span)))


@frozen(kw_only=True)
class Linear(EndingSchedule):
    """Falls along a straight line over the steps after the warm-up."""

    name = "linear"
    effect = "lowers the rate by the same amount with every step, to its end factor"

    def rate(self, moment: Moment) -> float:
        """Return a line from 1 to nearly the end."""
        after, span = self.done(moment)
        return self.from_end(1 - after / span)


@frozen(kw_only=True)
class Polynomial(EndingSchedule):
    """Falls along a power of what is left, over the steps after the warm-up."""

    name = "polynomial"
    effect = "lowers the rate with every step along a power of what is left of the training"

    power: float = declare(2.0, gt=0.0, le=100.0)
    """Of the share that is left; 1 is a line."""

    def rate(self, moment: Moment) -> float:
        """Return a power, from 1 to nearly the end."""
        after, span = self.done(moment)
        return self.from_end((1 - after / span) ** self.power)

    def rule(self, epochs: int) -> str:
        """Return the rule with its power."""
        return f"{EndingSchedule.rule(self, epochs)}, power {self.power:g}"


@frozen(kw_only=True)
class CosineRestarts(EndingSchedule):
    """Falls along half a cosine again and again, from the whole rate each time (SGDR).

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983.
    """

    name = "cosine_restarts"
    effect = "lowers the rate along half a cosine with every step, and starts anew again and again"

    first_epochs: int = declare(10, label="epochs to the first restart", ge=1, le=100000)
    """Epochs after the warm-up to the first restart."""
    multiplier: int = declare(1, label="factor of the epochs between restarts", ge=1, le=1000)
    """How many times as long each cosine is as the one before."""

    def rate(self, moment: Moment) -> float:
        """Return half a cosine between two restarts."""
        after, _ = self.done(moment)
        length = self.first_epochs * moment.steps_per_epoch
        while after >= length:
            after, length = after - length, length * self.multiplier
        return self.from_end(0.5 * (1 + math.cos(math.pi * after / length)))

    def without_effect(self, epochs: int) -> tuple[str, str] | None:
        """Return the first epochs where no restart is reached."""
        if self.warmup_epochs + self.first_epochs < epochs:
            return None
        return "first_epochs", f"the rate does not start anew within {epochs} epochs"

    def rule(self, epochs: int) -> str:
        """Return the rule with its restarts."""
        longer = f", each x {self.multiplier} as long" if self.multiplier > 1 else ""
        return f"{EndingSchedule.rule(self, epochs)}, anew after {self.first_epochs} epochs{longer}"


@frozen(kw_only=True)
class OneCycle(EndingSchedule):
    """Rises along half a cosine and falls along another, step by step (torch's OneCycleLR).

    The momentum stays. Source: Smith and Topin 2019, arXiv:1708.07120.
    """

    name = "one_cycle"
    effect = "raises the rate to the whole one and lowers it to nearly zero, with every step"

    end_factor: float = declare(4e-6, label="factor at the end", later=True, ge=0.0, lt=1.0)
    """Of the learning rate, in the last step."""
    start_factor: float = declare(0.04, label="factor at the start", gt=0.0, lt=1.0)
    """Of the learning rate, in the first step."""
    rise: float = declare(0.3, label="share of the steps that rise", gt=0.0, lt=1.0)
    """Share of the steps in which the rate rises."""

    def rate(self, moment: Moment) -> float:
        """Return half a cosine upwards, or the one downwards behind it."""
        after, span = self.done(moment)
        # As torch counts: the highest rate is that of the last step that rises.
        peak, last = max(0.0, self.rise * span - 1), span - 1
        if after < peak:
            height = 0.5 * (1 - math.cos(math.pi * after / peak))
            return self.start_factor + (1 - self.start_factor) * height
        return self.from_end(0.5 * (1 + math.cos(math.pi * (after - peak) / max(1, last - peak))))

    def rule(self, epochs: int) -> str:
        """Return the name and how long the rate rises."""
        return f"{self.name}, x {self.start_factor:g} to 1 in {self.rise:.0%} of the steps"


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class Constant(Schedule):
    """The rate stays."""

    name = "constant"
    effect = "keeps the rate as it is"


SCHEDULES = Kinds[Schedule](
    Step, Milestones, Cosine, Plateau, Constant, Linear, Polynomial, CosineRestarts, OneCycle
)
"""By the name in a spec; the first is the default."""
