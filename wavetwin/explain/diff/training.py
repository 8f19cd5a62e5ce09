"""Compare two training plans, and work out what their fields leave to the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from wavetwin.explain.diff.effects import Pair
from wavetwin.explain.diff.network_info import (
    count_dropouts,
    count_layers,
    images_a_step,
)
from wavetwin.ir.operations import BatchNorm
from wavetwin.ir.plan import SchedulePlan, TrainingPlan

_NOTES: dict[str, str | Callable[[Pair], str]] = {
    "training.accumulate": lambda pair: _accumulate_note(pair),
    "training.batch_size": lambda pair: _batch_note(pair),
    "training.seed": "another draw of everything random: differences of scores up to the spread "
    "between seeds say nothing",
    "training.record_gradients": "recording gradients changes no computed number",
    "training.checkpoint_every": "which snapshots are kept changes no computed number",
    "training.precision": "precision changes rounding in every step",
    "training.memory_format": "the memory format changes speed and last bits",
    "training.threads": "the number of threads changes speed and last bits",
    "evaluation": lambda pair: _evaluation_note(pair),
}
"""What a reader should know of fields that change, by key path: a sentence that is true whatever the
pair is, or a function that makes one of the pair's graphs and plans."""


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
    notes = tuple(
        note if isinstance(note, str) else note(pair)
        for field, note in _NOTES.items()
        if pair.differs(field)
    )
    return PlanChanges(before.training_digest == after.training_digest, rows, notes)


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


def _evaluation_note(pair: Pair) -> str:
    """Say whose scores can be compared, and which entries are the same but for the resizing."""
    note = "the batteries differ: only entries of both have scores to compare"
    entries = [set(plan.evaluation) for plan in (pair.before.plan, pair.after.plan)]
    alone = [entries[0] - entries[1], entries[1] - entries[0]]
    first, second = ({replace(each, resize=""): each.resize for each in some} for some in alone)
    ways = {(first[each], second[each]) for each in first.keys() & second.keys()}
    if len(ways) != 1:
        return note
    eight = "second" if ways == {("float", "pil")} else "first"
    number = len(first.keys() & second.keys())
    subject = "one entry differs" if number == 1 else f"{number} entries differ"
    return (
        f"{note}; {subject} by `resize` alone: the {eight} rounds to 8 bits, as the published "
        "scores' images were: its divergences differ a little (docs/evaluation.md), not by the model"
    )


def _rate(plan: TrainingPlan) -> tuple[float, SchedulePlan, int]:
    return plan.optimizer.lr, plan.schedule, plan.epochs


def _info(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    data, optimizer = plan.data, plan.optimizer
    yield "data", f"{data.dataset}, {data.image_size} px, {data.num_classes} classes"
    if data.training_images is not None:
        yield "training images", f"{data.training_images:,}"
    yield "validation images", f"{data.validation:,}{' per class' * data.validation_per_class}"
    yield "augmentation", data.augmentation
    yield "normalisation", _statistics(plan)
    yield "epochs", str(plan.epochs)
    yield "batch", f"{plan.batch_size:,}"
    yield "images a pass", f"{-(-plan.batch_size // plan.accumulate):,}"
    if plan.iterations_per_epoch is not None:
        steps = plan.iterations_per_epoch
        yield "steps", f"{steps:,} an epoch, {steps * plan.epochs:,} in all"
    yield "optimiser", _optimiser(plan)
    yield "learning rate", f"{optimizer.lr:g}, {_schedule(plan.schedule, plan.epochs)}"
    if plan.regularisation is not None:
        yield "penalty", "lambda " + ", ".join(f"{each:g}" for each in plan.regularisation.lambdas)
    if plan.initial_weights is not None:
        yield "start", plan.initial_weights.checkpoint
    yield "precision", plan.precision
    yield "memory format", plan.memory_format
    yield "seed", str(plan.seed)
    yield "threads", str(plan.threads)
    yield "snapshots", f"every {plan.checkpoint_every} epochs"
    yield "gradients", "recorded" if plan.record_gradients else "not recorded"
    yield "evaluation suite", _suite(plan)


def _statistics(plan: TrainingPlan) -> str:
    mean, std = plan.data.mean, plan.data.std
    if mean is None or std is None:
        return f"{plan.data.normalise}, measured at the start"
    return f"{plan.data.normalise}, mean {_numbers(mean)}, std {_numbers(std)}"


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _optimiser(plan: TrainingPlan) -> str:
    optimizer = plan.optimizer
    parts = [optimizer.name]
    if optimizer.momentum is not None:
        parts.append(f"momentum {optimizer.momentum:g}{' (Nesterov)' * bool(optimizer.nesterov)}")
    if optimizer.betas is not None:
        parts.append(f"betas {_numbers(optimizer.betas)}")
    parts.append(f"weight decay {optimizer.weight_decay:g}")
    return ", ".join(parts)


def _schedule(schedule: SchedulePlan, epochs: int) -> str:
    text = schedule.name
    if schedule.step_epochs is not None:
        changes = max(0, epochs - 1) // schedule.step_epochs
        text = f"x {schedule.gamma:g} every {schedule.step_epochs} epochs ({changes} times)"
    elif schedule.milestones is not None:
        after = ", ".join(map(str, schedule.milestones))
        text = f"x {schedule.gamma:g} after {after} epochs"
    elif schedule.patience is not None:
        text = f"x {schedule.gamma:g} after {schedule.patience} epochs without progress"
    if schedule.warmup_epochs:
        text += f", {schedule.warmup_epochs} epochs of warm-up"
    return text


def _suite(plan: TrainingPlan) -> str:
    modes: dict[str, int] = {}
    for entry in plan.evaluation:
        modes[entry.mode] = modes.get(entry.mode, 0) + 1
    counted = ", ".join(mode if count == 1 else f"{count} {mode}" for mode, count in modes.items())
    return counted or "empty"
