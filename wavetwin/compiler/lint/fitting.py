"""Warn of parameters that nothing holds back, and of rates that nothing lowers."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.graph.chosen_parameters import find_drawn, freeze_others
from wavetwin.compiler.lint.rule import LintContext, lint_rule
from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.augmentations import find_augmentation
from wavetwin.ir.parameter_groups import group_numbers
from wavetwin.ir.parameters import held_fixed, matches
from wavetwin.ir.section import declared_fields
from wavetwin.ir.starting_weights import StartingWeights, find_state
from wavetwin.ir.training import Training

MOST_PARAMETERS_PER_IMAGE = 50
"""With fewer, the rule has nothing to say."""
MANY_IMAGES_PER_CLASS = 1300
"""As many as ImageNet has at most: what is taken of a folder whose size only the disk knows."""

_DEFAULTS = {each.name: each.default for each in declared_fields(Training)}
MOST_OF_THE_START = 0.1
"""Share of the initial weights in their average at the end, above which the average says little."""


@lint_rule(
    "no-regularisation",
    meaning="Many parameters, few images, and nothing against overfitting.",
    cause="Many parameters for each image, and no norm, dropout, weight decay or augmentation.",
    cure="Augmentation, weight decay, norms; more images.",
    number="The rule speaks above 50 parameters for each training image. `specs/wavelet_pooling/posted.yaml`, an eighth as wide, on "
    "crops of photographs: a gap of 38 to 49 points under five poolings, 30 with augmentation "
    "(docs/wavelet-pooling.md).",
)
def no_regularisation(context: LintContext) -> Iterator[Diagnostic]:
    """No norm, dropout, weight decay, augmentation or penalty, and few images."""
    data, parameters = context.plan.data, context.graph.parameters.trainable
    most = MOST_PARAMETERS_PER_IMAGE
    images = data.training_images or MANY_IMAGES_PER_CLASS * data.num_classes
    if parameters <= most * images or _is_held_back(context):
        return
    number = (
        f"{images:,} training images ({parameters / images:.0f} for each)"
        if data.training_images
        else f"images of which only the disk knows the number, more than {most} for each unless they are "
        f"{-(-parameters // most):,}"
    )
    yield context.warn(
        "no-regularisation",
        f"{parameters:,} trainable parameters for {number}, and no norm, dropout, weight decay or "
        "augmentation: expect a gap between training and test",
        ["training.optimizer.weight_decay", "data.augmentation", "data.dataset"],
        help="set training.optimizer.weight_decay or data.augmentation, or add norms or dropout",
    )


def _is_held_back(context: LintContext) -> bool:
    plan = context.plan
    penalty = plan.regularisation is not None and any(plan.regularisation.lambdas)
    return (
        plan.optimizer.weight_decay > 0
        or find_augmentation(plan.data.augmentation).is_random
        or penalty
        or plan.mixes_images
        or any(node.operation.regularises for node in context.graph)
    )


@lint_rule(
    "schedule-without-effect",
    meaning="A change of the learning rate comes after the last epoch.",
    cause="The schedule changes the rate only after the training has ended.",
    cure="Fewer epochs before the change, or more in all.",
    number="A step of 30 epochs does nothing in 30 epochs.",
)
def schedule_without_effect(context: LintContext) -> Iterator[Diagnostic]:
    """A schedule that the spec asks for is to change the rate after the training has ended."""
    schedule, epochs = context.plan.schedule, context.plan.epochs
    if not epochs or not context.loaded.has("training.schedule"):
        return
    field, least = schedule.first_change()
    late = schedule.changes_from(epochs)
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


@lint_rule(
    "frozen-at-random",
    meaning="Parts are frozen at the random values that they begin with.",
    cause="`training.freeze` holds parameters fixed that no weights are loaded for.",
    cure="Load them, by `weights` and its `parts`, or freeze less: the warning names the parts that "
    "weights are loaded for.",
    number="freeze: [stem] of specs/cifar10/R18C.yaml holds 9,408 drawn numbers fixed.",
)
def frozen_at_random(context: LintContext) -> Iterator[Diagnostic]:
    """Parts are frozen at values that were drawn for them."""
    plan, graph = context.plan, context.graph
    drawn = find_drawn(graph, plan, context.tensors)
    for number, name in enumerate(plan.freeze):
        count = sum(each.count for each in drawn if matches(graph, each, [name]))
        if count:
            yield context.warn(
                "frozen-at-random",
                f"{name} is frozen, and no weights are loaded for {count:,} of its parameters: they stay as "
                "they were drawn",
                [f"training.freeze.{number}", *_what_is_loaded(plan.weights)],
                help=f"{others}; or load weights for it"
                if (others := freeze_others(graph, plan, drawn))
                else "load weights for it (the section weights), or do not freeze it",
            )


def _what_is_loaded(start: StartingWeights | None) -> list[str]:
    """Return the key paths of what keeps weights from being loaded."""
    if start is None:
        return ["weights"]
    return ["weights.parts"] * bool(start.parts) + ["weights.classifier"] * (
        start.classifier == "new"
    )


@lint_rule(
    "setting-without-effect",
    meaning="A setting of training or data does not do what it seems to do.",
    cause="A setting of the training is without the effect that its name promises.",
    cure="Remove it, or give it values that differ.",
    number="Equal class weights of 2 double the loss and weigh no class.",
)
def setting_without_effect(context: LintContext) -> Iterator[Diagnostic]:
    """A setting of the training or of its images does not do what it seems to do."""
    plan = context.plan
    idle = plan.schedule.without_effect(plan.epochs) if plan.epochs else None
    if idle is not None:
        field, reason = idle
        yield context.warn(
            "setting-without-effect",
            f"with {field} {getattr(plan.schedule, field)} {reason}",
            [f"training.schedule.{field}", "training.epochs"],
            help=f"lower {field}, or train longer",
        )
    yield from _idle_groups(context)
    yield from _idle_transforms(context)
    yield from _idle_validation(context)
    yield from _idle_classifier(context)
    if plan.frozen_norms != _DEFAULTS["frozen_norms"] and not _has_frozen_norm(context):
        yield context.warn(
            "setting-without-effect",
            "frozen_norms is of the batch norms that training.freeze holds fixed, and it holds none",
            ["training.frozen_norms", "training.freeze"],
            help="remove frozen_norms, or freeze a part with a batch norm",
        )
    for field in ("mixup", "cutmix"):
        if getattr(plan, field) is not None and plan.batch_size == 1:
            yield context.warn(
                "setting-without-effect",
                f"{field} mixes the images of a batch, and a batch is one image",
                [f"training.{field}", "training.batch_size"],
                help=f"remove {field}, or set a larger batch_size",
            )
    decay, steps = plan.average_decay, plan.iterations_per_epoch
    if decay is not None and steps and (left := decay ** (steps * plan.epochs)) > MOST_OF_THE_START:
        yield context.warn(
            "setting-without-effect",
            f"after {steps * plan.epochs:,} steps of a decay of {decay:g}, {left:.0%} of the averaged "
            "weights are the initial ones",
            ["training.average_decay", "training.epochs", "training.batch_size"],
            help="lower average_decay, or train longer",
        )
    if plan.early_stopping is not None and 0 < plan.epochs <= plan.early_stopping + 1:
        yield context.warn(
            "setting-without-effect",
            f"with early_stopping {plan.early_stopping} no training of {plan.epochs} epochs ends early",
            ["training.early_stopping", "training.epochs"],
            help=f"set early_stopping below {plan.epochs - 1}"
            if plan.epochs > 2
            else "remove early_stopping",
        )
    weights = plan.class_weights
    if weights is not None and len(set(weights)) == 1:
        yield context.warn(
            "setting-without-effect",
            f"all {len(weights)} class weights are {weights[0]:g}: no class counts more than another, "
            f"and the cross-entropy is {weights[0]:g} times as large",
            ["training.class_weights"],
            help="remove class_weights, or give the classes that shall count more a larger one",
        )


def _idle_validation(context: LintContext) -> Iterator[Diagnostic]:
    """Warn of validation images of the user's own that nothing reads."""
    data = context.plan.data
    if data.lock is not None and data.lock.has_own_validation and data.validation:
        yield context.warn(
            "setting-without-effect",
            f"{data.validation} of each class are held out of train, so that the {sum(data.lock.val):,} "
            "images of val are used by nothing",
            ["data.validation", "data.lock.val"],
            help="leave out data.validation: val then validates",
        )


def _idle_classifier(context: LintContext) -> Iterator[Diagnostic]:
    """Warn of a new classifier where the weights' parts have none."""
    start, classifier = context.plan.weights, context.graph.classifier
    if start is None or start.classifier != "new" or not start.parts or classifier is None:
        return
    of_it = [each for each in find_state(context.graph) if each.node is classifier]
    if not any(matches(context.graph, each, start.parts) for each in of_it):
        yield context.warn(
            "setting-without-effect",
            "classifier: new leaves the last layer out of what is loaded, and weights.parts have none of it",
            ["weights.classifier", "weights.parts"],
            help="remove classifier",
        )


def _idle_groups(context: LintContext) -> Iterator[Diagnostic]:
    """Warn of groups that nothing is in, or whose parameters are trained as the others."""
    plan, graph = context.plan, context.graph
    fixed = {each.name for each in held_fixed(graph, plan.freeze)}
    numbers = group_numbers(graph, plan.groups)
    used = {number for name, number in numbers.items() if name not in fixed}
    for number, group in enumerate(plan.groups):
        path = f"training.groups.{number}"
        if number not in used:
            yield context.warn(
                "setting-without-effect",
                f"all parameters that group {number + 1} matches are frozen, or in groups before it",
                [f"{path}.match"],
                help="put this group before the others, or remove it",
            )
        elif group.lr_factor == 1 and group.weight_decay in (None, plan.optimizer.weight_decay):
            yield context.warn(
                "setting-without-effect",
                f"group {number + 1} has the rate and the weight decay of the rest",
                [f"{path}.match"],
                help="give it an lr_factor or a weight_decay of its own, or remove it",
            )


def _idle_transforms(context: LintContext) -> Iterator[Diagnostic]:
    """Warn of listed transforms that leave every image as it is."""
    value = context.plan.data.augmentation
    for position, each in enumerate(() if isinstance(value, str) else value):
        reason = each.without_effect()
        if reason is not None:
            yield context.warn(
                "setting-without-effect",
                f"{each.transform}: {reason}",
                [f"data.augmentation.{position}.{each.transform}"],
                help=f"remove {each.transform}, or give it something to do",
            )


def _has_frozen_norm(context: LintContext) -> bool:
    fixed = held_fixed(context.graph, context.plan.freeze)
    return any(each.module in each.node.operation.batch_norm_modules() for each in fixed)
