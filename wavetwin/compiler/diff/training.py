"""Training: what differs between two plans, worked out where the fields leave it to the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wavetwin.compiler.diff.declaration import DeclarationChanges
from wavetwin.compiler.plan import SchedulePlan, TrainingPlan

_NOTES: dict[str, str] = {
    "training.accumulate": "parts change what each batch norm sees, not the gradient's scale",
    "training.batch_size": "another batch: other noise in the gradient at the same rate, and other "
    "statistics in batch norms",
    "training.seed": "another draw of everything random: differences of scores up to the spread "
    "between seeds say nothing",
    "training.record_gradients": "recording gradients changes no computed number",
    "training.checkpoint_every": "which snapshots are kept changes no computed number",
    "training.precision": "precision changes rounding in every step",
    "training.memory_format": "the memory format changes speed and last bits",
    "training.threads": "the number of threads changes speed and last bits",
    "evaluation": "the batteries differ: only entries of both have scores to compare",
}
"""What a reader should know of fields that change, by key path."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One fact of two plans that differs."""

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


def compare_plans(
    before: TrainingPlan, after: TrainingPlan, changes: DeclarationChanges
) -> PlanChanges:
    """Return the facts of two plans that differ, and what to know of the changed fields."""
    ours, theirs = dict(_facts(before)), dict(_facts(after))
    rows = tuple(
        PlanRow(label, ours.get(label, "none"), theirs.get(label, "none"))
        for label in dict.fromkeys((*ours, *theirs))
        if ours.get(label) != theirs.get(label)
    )
    names = [change.name for change in changes.fields]
    notes = tuple(
        note
        for field, note in _NOTES.items()
        if any(name == field or name.startswith(f"{field}.") for name in names)
    )
    return PlanChanges(before.training_digest == after.training_digest, rows, notes)


def _facts(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
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
    yield "battery", _battery(plan)


def _statistics(plan: TrainingPlan) -> str:
    mean, std = plan.data.mean, plan.data.std
    if mean is None or std is None:
        return f"{plan.data.normalise}, measured at the start"
    return f"{plan.data.normalise}, mean {_numbers(mean)}, std {_numbers(std)}"


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _optimiser(plan: TrainingPlan) -> str:
    optimizer = plan.optimizer
    words = [optimizer.name]
    if optimizer.momentum is not None:
        words.append(f"momentum {optimizer.momentum:g}{' (Nesterov)' * bool(optimizer.nesterov)}")
    if optimizer.betas is not None:
        words.append(f"betas {_numbers(optimizer.betas)}")
    words.append(f"weight decay {optimizer.weight_decay:g}")
    return ", ".join(words)


def _schedule(schedule: SchedulePlan, epochs: int) -> str:
    words = schedule.name
    if schedule.step_epochs is not None:
        changes = max(0, epochs - 1) // schedule.step_epochs
        words = f"x {schedule.gamma:g} every {schedule.step_epochs} epochs ({changes} times)"
    elif schedule.milestones is not None:
        after = ", ".join(map(str, schedule.milestones))
        words = f"x {schedule.gamma:g} after {after} epochs"
    elif schedule.patience is not None:
        words = f"x {schedule.gamma:g} after {schedule.patience} epochs without progress"
    if schedule.warmup_epochs:
        words += f", {schedule.warmup_epochs} epochs of warm-up"
    return words


def _battery(plan: TrainingPlan) -> str:
    modes: dict[str, int] = {}
    for entry in plan.evaluation:
        modes[entry.mode] = modes.get(entry.mode, 0) + 1
    counted = ", ".join(mode if count == 1 else f"{count} {mode}" for mode, count in modes.items())
    return counted or "empty"
