"""Training: rules about the data, the training and the evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.datasets import DATASETS, VALIDATION_BESIDE

_OPTIMIZER_FIELDS = {"momentum": ("sgd",), "nesterov": ("sgd",), "betas": ("adamw",)}
_SCHEDULE_FIELDS = {
    "step_epochs": ("step",),
    "milestones": ("milestones",),
    "gamma": ("step", "milestones", "plateau"),
    "patience": ("plateau",),
}
_EVALUATION_FIELDS = {
    "split": ("one_crop", "ten_crops", "shifts"),
    "direction": ("shifts",),
    "max_shift": ("shifts",),
    "pixel_divide": ("shifts",),
    "metric": ("shifts",),
    "max_step": ("shifts",),
    "root": ("perturbations", "corruptions"),
}


def _inapplicable(
    context: CheckContext,
    section: str,
    chosen_by: str,
    chosen: str,
    values: object,
    fields: dict[str, tuple[str, ...]],
) -> Iterator[Diagnostic]:
    """Report the fields that the chosen kind does not have."""
    for name, kinds in fields.items():
        if getattr(values, name) is not None and chosen not in kinds:
            yield context.conflict(
                "field-does-not-apply",
                f"{name} is a field of {join_texts(kinds, 'and')}, not of {chosen}",
                [f"{section}.{name}", f"{section}.{chosen_by}"],
                help=f"set {section}.{name} to null"
                if not section.startswith("evaluation")
                else f"remove {name}",
            )


def num_validation_images(spec: ExperimentSpec) -> int:
    """Return the images held out (per class for folders), filled in as `resolve` does."""
    context = DATASETS[spec.data.dataset]
    return context.validation if spec.data.validation is None else spec.data.validation


@reads("data.dataset", "data.num_classes")
def check_num_classes(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The number of classes is given where it is unknown, and right where it is known."""
    known, given = DATASETS[spec.data.dataset].num_classes, spec.data.num_classes
    if known is None and given is None:
        yield context.conflict(
            "num-classes-missing",
            f"the number of classes of {spec.data.dataset} is not known",
            ["data.num_classes", "data.dataset"],
            help="add data.num_classes",
        )
    elif known is not None and given not in (None, known):
        yield context.conflict(
            "num-classes-wrong",
            f"{spec.data.dataset} has {known} classes, not {given}",
            ["data.num_classes", "data.dataset"],
            help=f"write num_classes: {known}, or leave it out; other classes are a folder of your own: "
            "dataset: folder",
        )


@reads("data.dataset", "data.num_classes", "data.validation")
def check_validation(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Some images are left to train on."""
    dataset = DATASETS[spec.data.dataset]
    if spec.data.validation is None or dataset.training_images is None:
        return
    if spec.data.dataset in VALIDATION_BESIDE:
        return
    classes = (dataset.num_classes or 1) if dataset.per_class else 1
    if spec.data.validation * classes >= dataset.training_images:
        per_class = f" in each of {classes} classes" if dataset.per_class else ""
        yield context.conflict(
            "no-training-images",
            f"validation sets aside {spec.data.validation} images{per_class}, and"
            f" {spec.data.dataset} has {dataset.training_images} training images",
            ["data.validation", "data.dataset"],
            help=f"leave out data.validation for {dataset.validation}",
        )


@reads("data.dataset", "data.validation", "training.schedule.name")
def check_plateau(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A plateau is one of the validation loss."""
    if spec.training.schedule.name == "plateau" and num_validation_images(spec) == 0:
        yield context.conflict(
            "no-validation-images",
            "the schedule plateau follows the validation loss, and no images are held out",
            ["data.validation", "training.schedule.name"],
            help="set data.validation above 0, or choose another schedule",
            default_values={"data.validation": 0},
        )


@reads("data.dataset", "data.validation", "evaluation", "evaluation.*.split")
def check_validation_split(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A split that is evaluated has images."""
    if num_validation_images(spec):
        return
    for position, entry in enumerate(spec.evaluation):
        if entry.split == "validation":
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


@reads("training.optimizer.name", *(f"training.optimizer.{name}" for name in _OPTIMIZER_FIELDS))
def check_optimizer(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The optimiser's fields are its own."""
    optimizer = spec.training.optimizer
    yield from _inapplicable(
        context, "training.optimizer", "name", optimizer.name, optimizer, _OPTIMIZER_FIELDS
    )
    if optimizer.name == "sgd" and optimizer.nesterov and optimizer.momentum == 0:
        yield context.conflict(
            "nesterov-without-momentum",
            "nesterov looks ahead along the momentum, which is 0",
            ["training.optimizer.nesterov", "training.optimizer.momentum"],
            help="remove nesterov, or set a momentum",
        )


@reads(
    "training.schedule.name",
    *(f"training.schedule.{name}" for name in _SCHEDULE_FIELDS),
)
def check_schedule(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The schedule's fields are its own; milestones increase."""
    schedule = spec.training.schedule
    section = "training.schedule"
    yield from _inapplicable(context, section, "name", schedule.name, schedule, _SCHEDULE_FIELDS)
    if schedule.name != "milestones":
        return
    if schedule.milestones is None:
        yield context.conflict(
            "milestones-missing",
            "the schedule milestones needs its milestones",
            [f"{section}.milestones", f"{section}.name"],
            help="add milestones: [30, 60]",
        )
        return
    for index, (before, after) in enumerate(
        zip(schedule.milestones, schedule.milestones[1:], strict=False)
    ):
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
        yield from _inapplicable(context, section, "mode", entry.mode, entry, _EVALUATION_FIELDS)
        if entry.metric == "kl_divergence" and entry.max_step is not None:
            yield context.conflict(
                "field-does-not-apply",
                "max_step is a field of flip_rate, not of kl_divergence",
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
    for position, entry in enumerate(spec.evaluation):
        if entry.mode != "shifts" or entry.max_step is None:
            continue
        max_shift, divide = entry.max_shift or 8, entry.pixel_divide or 1
        if entry.max_step > max_shift * divide:
            section = f"evaluation.{position}"
            yield context.conflict(
                "max-step-too-large",
                f"frames {entry.max_step} steps apart do not exist: there are"
                f" {max_shift * divide} steps in {max_shift} pixels",
                [f"{section}.max_step", f"{section}.max_shift", f"{section}.pixel_divide"],
                help=f"set max_step to {max_shift * divide} or less",
                default_values={f"{section}.max_shift": 8, f"{section}.pixel_divide": 1},
            )


TRAINING_RULES: tuple[Rule, ...] = (
    check_num_classes,
    check_validation,
    check_plateau,
    check_validation_split,
    check_accumulate,
    check_optimizer,
    check_schedule,
    check_warmup,
    check_evaluation,
    check_max_step,
)
