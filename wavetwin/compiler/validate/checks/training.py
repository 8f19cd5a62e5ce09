"""Check the training and the evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.schema.declared import given, kind_of
from wavetwin.compiler.validate.checks.images import has_validation_images
from wavetwin.compiler.validate.checks.kinds import inapplicable
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.evaluations import SHIFT_METRICS, Shifts
from wavetwin.ir.optimizers import OPTIMIZERS, Sgd
from wavetwin.ir.schedules import SCHEDULES, Milestones, Schedule
from wavetwin.ir.section import Kinds


def _reads_kinds(path: str, kinds: Kinds[Any]) -> tuple[str, ...]:
    return tuple(f"{path}.{name}" for name in (kinds.tag, *kinds.all_fields()))


@reads("data.dataset", "data.validation", "data.lock", "training.early_stopping")
def check_early_stopping(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A training stops early by the validation loss."""
    if spec.training.early_stopping is not None and not has_validation_images(spec):
        yield context.conflict(
            "no-validation-images",
            "early stopping follows the validation loss, and no images are held out",
            ["data.validation", "training.early_stopping"],
            help="set data.validation above 0, or remove early_stopping",
            default_values={"data.validation": 0},
        )


@reads("data.dataset", "data.validation", "data.lock", "training.schedule.name")
def check_plateau(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A plateau is one of the validation loss."""
    schedule = cast("type[Schedule]", kind_of(spec.training.schedule))
    if schedule.follows_loss and not has_validation_images(spec):
        yield context.conflict(
            "no-validation-images",
            f"the schedule {schedule.name} follows the validation loss, and no images are held out",
            ["data.validation", "training.schedule.name"],
            help="set data.validation above 0, or choose another schedule",
            default_values={"data.validation": 0},
        )


@reads("data.dataset", "data.validation", "data.lock", "evaluation", "evaluation.*.split")
def check_validation_split(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A split that is evaluated has images."""
    if has_validation_images(spec):
        return
    for position, entry in enumerate(spec.evaluation):
        if given(entry).get("split") == "validation":
            yield context.conflict(
                "no-validation-images",
                "the evaluation asks for the validation images, and none are held out",
                ["data.validation", f"evaluation.{position}.split"],
                help="set data.validation above 0, or evaluate another split",
                default_values={"data.validation": 0},
            )


@reads("training.batch_size", "training.accumulate")
def check_accumulate(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A batch splits into equal parts."""
    batch, parts = spec.training.batch_size, spec.training.accumulate
    if batch % parts:
        lower, upper = batch // parts * parts, (batch // parts + 1) * parts
        sizes = [str(size) for size in (lower, upper) if size]
        yield context.conflict(
            "batch-does-not-divide",
            f"a batch of {batch} images does not split into {parts} equal parts",
            ["training.batch_size", "training.accumulate"],
            help=f"set training.batch_size to {' or '.join(sizes)}",
        )


@reads("training.class_weights", "data.num_classes", "data.dataset")
def check_class_weights(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Every class has a weight."""
    weights = spec.training.class_weights
    classes = spec.data.class_count
    if weights is not None and classes is not None and len(weights) != classes:
        yield context.conflict(
            "class-weights-wrong",
            f"there are {len(weights)} class weights for {classes} classes",
            [
                "training.class_weights",
                "data.num_classes" if spec.data.num_classes else "data.dataset",
            ],
            help="give each class a weight, in the order of the classes",
        )


@reads("training.loss", "training.label_smoothing", "training.class_weights")
def check_loss(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A loss of the project's own stands alone: the others are of the cross-entropy."""
    if spec.training.loss is None:
        return
    given = {
        "label_smoothing": bool(spec.training.label_smoothing),
        "class_weights": spec.training.class_weights is not None,
    }
    for field, is_given in given.items():
        if is_given:
            yield context.conflict(
                "field-does-not-apply",
                f"{field} is of the cross-entropy, and training.loss names another loss",
                [f"training.{field}", "training.loss"],
                help=f"remove {field}, or hand such a value to the loss as an argument",
            )


@reads(*_reads_kinds("training.optimizer", OPTIMIZERS))
def check_optimizer(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The optimiser's fields are its own."""
    optimizer = spec.training.optimizer
    yield from inapplicable(context, "training.optimizer", optimizer)
    values = given(optimizer)
    if kind_of(optimizer) is Sgd and values.get("nesterov") and values.get("momentum") == 0:
        yield context.conflict(
            "nesterov-without-momentum",
            "nesterov looks ahead along the momentum, which is 0",
            ["training.optimizer.nesterov", "training.optimizer.momentum"],
            help="remove nesterov, or set a momentum",
        )


@reads(*_reads_kinds("training.schedule", SCHEDULES))
def check_schedule(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The schedule's fields are its own; milestones increase."""
    schedule, section = spec.training.schedule, "training.schedule"
    yield from inapplicable(context, section, schedule)
    if kind_of(schedule) is not Milestones:
        return
    milestones: tuple[int, ...] | None = given(schedule).get("milestones")
    if milestones is None:
        yield context.conflict(
            "milestones-missing",
            "the schedule milestones needs its milestones",
            [f"{section}.milestones", f"{section}.name"],
            help="add milestones: [30, 60]",
        )
        return
    for index, (before, after) in enumerate(pairwise(milestones)):
        if after <= before:
            yield context.conflict(
                "milestones-do-not-increase",
                f"milestones increase, {after} comes after {before}",
                [f"{section}.milestones.{index}", f"{section}.milestones.{index + 1}"],
            )


@reads("training.schedule.warmup_epochs", "training.epochs")
def check_warmup(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The warm-up ends before the training."""
    warmup = spec.training.schedule.warmup_epochs
    if warmup and warmup >= spec.training.epochs:
        yield context.conflict(
            "warmup-too-long",
            f"a warm-up of {warmup} epochs does not end within {spec.training.epochs} epochs",
            ["training.schedule.warmup_epochs", "training.epochs"],
            help=f"train for more than {warmup} epochs, or warm up for fewer than {spec.training.epochs}"
            if spec.training.epochs > 1
            else f"train for more than {warmup} epochs",
        )


@reads("evaluation", "evaluation.*", "evaluation.*.mode")
def check_evaluation(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """An entry's fields are those of its mode."""
    for position, entry in enumerate(spec.evaluation):
        section = f"evaluation.{position}"
        yield from inapplicable(context, section, entry)
        values = given(entry)
        metric = SHIFT_METRICS.get(values.get("metric", ""))
        if metric is not None and not metric.compares_steps and "max_step" in values:
            others = [each.name for each in SHIFT_METRICS.values() if each.compares_steps]
            yield context.conflict(
                "field-does-not-apply",
                f"max_step is a field of {join_texts(others, 'and')}, not of {metric.name}",
                [f"{section}.max_step", f"{section}.metric"],
                help="remove max_step",
            )


@reads(
    "evaluation",
    "evaluation.*.mode",
    "evaluation.*.max_shift",
    "evaluation.*.pixel_divide",
    "evaluation.*.max_step",
)
def check_max_step(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Frames that are compared exist."""
    defaults = Shifts()
    for position, entry in enumerate(spec.evaluation):
        values = given(entry)
        if kind_of(entry) is not Shifts or "max_step" not in values:
            continue
        max_step: int = values["max_step"]
        max_shift: int = values.get("max_shift", defaults.max_shift)
        steps = max_shift * values.get("pixel_divide", defaults.pixel_divide)
        if max_step > steps:
            section = f"evaluation.{position}"
            yield context.conflict(
                "max-step-too-large",
                f"frames {max_step} steps apart do not exist: there are"
                f" {steps} steps in {max_shift} pixels",
                [f"{section}.max_step", f"{section}.max_shift", f"{section}.pixel_divide"],
                help=f"set max_step to {steps} or less",
                default_values={
                    f"{section}.max_shift": defaults.max_shift,
                    f"{section}.pixel_divide": defaults.pixel_divide,
                },
            )


TRAINING_RULES: tuple[Rule, ...] = (
    check_early_stopping,
    check_plateau,
    check_validation_split,
    check_accumulate,
    check_class_weights,
    check_loss,
    check_optimizer,
    check_schedule,
    check_warmup,
    check_evaluation,
    check_max_step,
)
