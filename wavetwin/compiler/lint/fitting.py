"""Fitting: parameters that nothing holds back, and rates that nothing lowers."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import LintContext, LintRule, lint_rule
from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ScheduleSpec
from wavetwin.diagnostics import Diagnostic

MOST_PARAMETERS_PER_IMAGE = 50
"""The design's threshold (WT019); with fewer, the rule has nothing to say."""


@lint_rule("no-regularisation", "WT019")
def no_regularisation(context: LintContext) -> Iterator[Diagnostic]:
    """No norm, dropout, weight decay, augmentation or penalty, and few images."""
    images = context.plan.data.training_images
    parameters = context.graph.parameters.trainable
    if not images or parameters <= MOST_PARAMETERS_PER_IMAGE * images or _is_held_back(context):
        return
    yield context.warn(
        "no-regularisation",
        f"{parameters:,} trainable parameters for {images:,} training images "
        f"({parameters / images:.0f} for each), and no norm, dropout, weight decay or augmentation: "
        "expect a gap between training and test",
        ["training.optimizer.weight_decay", "data.augmentation", "data.dataset"],
        help="set training.optimizer.weight_decay or data.augmentation, or add norms or dropout",
    )


def _is_held_back(context: LintContext) -> bool:
    plan = context.plan
    penalty = plan.regularisation is not None and any(plan.regularisation.lambdas)
    return (
        plan.optimizer.weight_decay > 0
        or plan.data.augmentation != "none"
        or penalty
        or any(node.operation.regularises for node in context.graph)
    )


@lint_rule("schedule-without-effect", "no number")
def schedule_without_effect(context: LintContext) -> Iterator[Diagnostic]:
    """A schedule that the spec asks for is to change the rate after the training has ended."""
    schedule, epochs = context.spec.training.schedule, context.spec.training.epochs
    if not epochs or not context.loaded.has("training.schedule"):
        return
    field, least = _first_change(schedule)
    late = [mark for mark in schedule.milestones or () if mark >= epochs]
    if late:
        marks = join_texts([str(mark) for mark in late], "and")
        headline = f"the rate is to change after {marks} epochs, and the training has {epochs}"
    elif least >= epochs:
        value = getattr(schedule, field)
        headline = f"with {field} {value} the rate does not change within {epochs} epochs"
    else:
        return
    yield context.warn(
        "schedule-without-effect",
        headline,
        [f"training.schedule.{field}", "training.epochs"],
        help=f"train for more than {late[-1] if late else least} epochs, or change the schedule",
    )


def _first_change(schedule: ScheduleSpec) -> tuple[str, int]:
    """Return the field that says after how many epochs the rate first changes, and the epochs."""
    if schedule.name == "step" and schedule.step_epochs is not None:
        return "step_epochs", schedule.step_epochs
    if schedule.name == "plateau" and schedule.patience is not None:
        # The first epoch is the best so far; one more than the patience has to be no better.
        return "patience", schedule.patience + 2
    if schedule.name == "cosine":
        return "name", schedule.warmup_epochs + 1
    return "milestones", 0


FITTING_RULES: tuple[LintRule, ...] = (no_regularisation, schedule_without_effect)
