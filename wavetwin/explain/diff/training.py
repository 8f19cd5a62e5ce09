"""Compare two training plans, and work out what their fields leave to the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from wavetwin.explain.diff.effects import Pair
from wavetwin.explain.diff.network_info import (
    count_dropouts,
    count_layers,
    images_a_step,
)
from wavetwin.ir.augmentations import find_augmentation
from wavetwin.ir.evaluations import EVALUATIONS, CropsEvaluation, Evaluation
from wavetwin.ir.operations import BatchNorm
from wavetwin.ir.optimizers import Optimizer
from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.parameter_groups import ParameterGroup
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import Schedule
from wavetwin.ir.section import declaration_of, declared_fields, label_of, value_text
from wavetwin.ir.sides import size_text
from wavetwin.ir.training import Training

_Row = Optimizer | Schedule

_NOTES: dict[str, Callable[[Pair], str | None]] = {
    "training.accumulate": lambda pair: _accumulate_note(pair),
    "training.batch_size": lambda pair: _batch_note(pair),
    "training.optimizer": lambda pair: _kinds_note(*(each.plan.optimizer for each in pair.sides)),
    "training.schedule": lambda pair: _kinds_note(*(each.plan.schedule for each in pair.sides)),
    "data.augmentation": lambda pair: _augmentation_note(pair),
    "weights": lambda pair: _weights_note(pair),
    "evaluation": lambda pair: _evaluation_note(pair),
}
"""What a reader should know of fields that change, by key path, where it depends on the pair's graphs
and plans; other fields say it themselves, where they are declared."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One value in which two plans differ."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """How training and judging differ."""

    same_training: bool
    """Whether a run of one is a run of the other (decisions on digests: equal training digests)."""
    rows: tuple[PlanRow, ...]
    notes: tuple[str, ...]


def compare_plans(pair: Pair) -> PlanChanges:
    """Return the values in which two plans differ, and what to know of the changed fields."""
    before, after = pair.before.plan, pair.after.plan
    ours, theirs = dict(_info(before)), dict(_info(after))
    rows = tuple(
        PlanRow(label, ours.get(label, "none"), theirs.get(label, "none"))
        for label in dict.fromkeys((*ours, *theirs))
        if ours.get(label) != theirs.get(label)
    )
    same_training = before.training_digest == after.training_digest
    return PlanChanges(same_training, rows, tuple(_notes(pair)))


def _notes(pair: Pair) -> Iterator[str]:
    declared = {f"training.{each.name}": declaration_of(each) for each in declared_fields(Training)}
    for path in dict.fromkeys((*declared, *_NOTES)):
        if pair.differs(path):
            note = _NOTES[path](pair) if path in _NOTES else declared[path].note
            if note:
                yield note


def _accumulate_note(pair: Pair) -> str:
    """Say what micro-batches change: only what looks at more than one image, or draws."""
    changed: list[str] = []
    if any(count_layers(each, BatchNorm) for each in pair.sides):
        changed.append("what each batch norm sees")
    dropouts = max(map(count_dropouts, pair.sides))
    if dropouts:
        # A single layer draws the same numbers in micro-batches, one generator after the other; a GPU's
        # generator starts anew for each call.
        where = " on a GPU" if dropouts == 1 else ""
        changed.append(f"which values dropout draws{where}")
    if not changed:
        return (
            "micro-batches change rounding alone: no layer here sees more than one image, or draws"
        )
    return f"micro-batches change {' and '.join(changed)}, and rounding; not the gradient's scale"


def _batch_note(pair: Pair) -> str:
    if len({images_a_step(each) for each in pair.sides}) == 1:
        return "both batches hold all training images: a step sees the same ones"
    same_rate = _rate(pair.before.plan) == _rate(pair.after.plan)
    note = "another batch: other noise in the gradient" + (
        " at the same rate" if same_rate else ", and another learning rate beside it"
    )
    if any(count_layers(each, BatchNorm) for each in pair.sides):
        note += ", and other statistics in batch norms"
    return note


def _kinds_note(before: _Row, after: _Row) -> str | None:
    """Say what one kind does and what the other; nothing of the same kind."""
    if before.name == after.name:
        return None
    return f"{before.name} {before.effect}; {after.name} {after.effect}"


def _augmentation_note(pair: Pair) -> str:
    """Say what is done to images on one side alone."""
    first, second = (find_augmentation(each.plan.data.augmentation).parts for each in pair.sides)
    sides = [
        [f"{name} {effect}" for name, effect in ours if (name, effect) not in theirs]
        for ours, theirs in ((first, second), (second, first))
    ]
    if not any(sides):
        return "the same changes of training images in another order"
    texts = [", ".join(side) for side in sides]
    if all(texts):
        return "; ".join(texts)
    return f"in the {'first' if texts[0] else 'second'} alone: {texts[0] or texts[1]}"


def _evaluation_note(pair: Pair) -> str:
    """Say whose scores can be compared, and which entries are the same but for the resizing."""
    note = "the evaluation suites differ: only entries of both have scores to compare"
    first, second = (set(each.plan.evaluation) for each in pair.sides)
    kept = _kept_note(first, second)
    if kept is not None:
        return kept
    alike = [
        (ours, theirs)
        for ours in first - second
        for theirs in second - first
        if ours.differs_by_resizing(theirs)
    ]
    ways = {(ours.rounds_to_8_bits, theirs.rounds_to_8_bits) for ours, theirs in alike}
    if len(ways) != 1:
        return note
    eight = "second" if ways == {(False, True)} else "first"
    subject = "one entry differs" if len(alike) == 1 else f"{len(alike)} entries differ"
    return (
        f"{note}; {subject} by `resize` alone: the {eight} rounds to 8 bits, as the published "
        "scores' images were: its divergences differ a little (docs/evaluation.md), not by the model"
    )


def _kept_note(first: set[Evaluation], second: set[Evaluation]) -> str | None:
    """Say what differs where every entry of either suite has one of the same predictions in the other.

    None where an entry has none.
    """
    pairs = [
        (ours, theirs)
        for ours in first - second
        for theirs in second - first
        if ours.predicts_as(theirs)
    ]
    if {ours for ours, _ in pairs} != first - second or len(pairs) != len(second - first):
        return None
    names = [
        each.name
        for each in declared_fields(Evaluation)
        + tuple(each[0] for each in EVALUATIONS.all_fields().values())
        if any(
            getattr(ours, each.name, None) != getattr(theirs, each.name, None)
            for ours, theirs in pairs
        )
    ]
    shown = " and ".join(f"`{name}`" for name in dict.fromkeys(names))
    note = (
        f"the evaluation suites differ by {shown} alone: entries give the same predictions, and their "
        "errors compare"
    )
    others = list(dict.fromkeys(name for both in pairs for name in _redefined(*both)))
    if not others:
        return note
    verb, whose = ("is", "its") if len(others) == 1 else ("are", "their")
    return (
        f"{note}; {' and '.join(others)} {verb} of other code or arguments, and {whose} numbers do not "
        "compare"
    )


def _redefined(first: Evaluation, second: Evaluation) -> Iterator[str]:
    """Yield the metrics of the project's own that two entries call the same, and that are not."""
    if not (isinstance(first, CropsEvaluation) and isinstance(second, CropsEvaluation)):
        return
    definitions = {each.name: each.definition for each in first.metrics}
    for each in second.metrics:
        if definitions.get(each.name, each.definition) != each.definition:
            yield each.name


def _weights_note(pair: Pair) -> str:
    """Say what a difference of scores is of, where trainings start from other weights."""
    ours, theirs = (each.plan.weights for each in pair.sides)
    if ours is None or theirs is None:
        which, other = ("second", "first") if ours is None else ("first", "second")
        begins = f"the {which} starts from weights that were trained before, the {other} from random ones"
        return f"{begins}: what their training cost is not in its epochs, and not in its images"
    if ours.sha256 != theirs.sha256:
        return "both start from other weights: a difference of scores may be theirs"
    note = "both start from the same file, and take other parts of it"
    if (ours.stem == "project") != (theirs.stem == "project"):
        which = "first" if ours.stem == "project" else "second"
        note += f": the {which}'s first layer is fitted to that of a CNN"
    return note


def _rate(plan: TrainingPlan) -> tuple[float, Schedule, int]:
    return plan.optimizer.lr, plan.schedule, plan.epochs


def _info(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    """Yield what a reader sees of a plan; a field of the training without a line of its own as it is."""
    data, optimizer = plan.data, plan.optimizer
    yield "data", f"{data.dataset}, {size_text(data.image_size)} px, {data.num_classes} classes"
    if data.training_images is not None:
        yield "training images", f"{data.training_images:,}"
    yield "validation images", f"{data.validation:,}{' per class' * data.validation_per_class}"
    yield "augmentation", data.augmentation_text
    yield "normalisation", _statistics(plan)
    for each in declared_fields(Training):
        value = getattr(plan, each.name)
        if value is optimizer:
            yield label_of(each), optimizer.describe()
        elif value is plan.schedule:
            yield "learning rate", f"{optimizer.lr:g}, {plan.schedule.describe(plan.epochs)}"
        else:
            yield label_of(each), _value_text(value)
    yield "images a pass", f"{-(-plan.batch_size // plan.accumulate):,}"
    if plan.iterations_per_epoch is not None:
        steps = plan.iterations_per_epoch
        yield "steps", f"{steps:,} an epoch, {steps * plan.epochs:,} in all"
    if plan.regularisation is not None:
        yield "penalty", "lambda " + ", ".join(f"{each:g}" for each in plan.regularisation.lambdas)
    yield from _starts(plan)
    yield "evaluation suite", _suite(plan)


def _starts(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    if plan.weights is not None:
        sha256 = (plan.weights.sha256 or "not known")[:16]
        yield "starts from", f"{plan.weights.describe()}, SHA-256 {sha256}"
    if plan.initial_weights is not None:
        yield "start", plan.initial_weights.checkpoint


def _value_text(value: object) -> str:
    """Return a value of a plan as a reader sees it; sections by what they say of themselves."""
    sections = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    described = [each.describe() for each in sections if isinstance(each, OwnCode | ParameterGroup)]
    if described:
        return "; ".join(described)
    return "none" if value == () else value_text(value)


def _statistics(plan: TrainingPlan) -> str:
    mean, std = plan.data.mean, plan.data.std
    if mean is None or std is None:
        return f"{plan.data.normalise}, measured at the start"
    return f"{plan.data.normalise}, mean {value_text(mean)}, std {value_text(std)}"


def _suite(plan: TrainingPlan) -> str:
    modes: dict[str, int] = {}
    for entry in plan.evaluation:
        modes[entry.mode] = modes.get(entry.mode, 0) + 1
    counted = ", ".join(mode if count == 1 else f"{count} {mode}" for mode, count in modes.items())
    return counted or "empty"
