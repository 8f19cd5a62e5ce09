"""Set runs beside the published figures of the same model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.explain.report.figures import in_form
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.published_rows import published_rows
from wavetwin.explain.report.runs import Run
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.datasets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from wavetwin.ir.optimizers import Sgd
from wavetwin.ir.plan import DataPlan, TrainingPlan
from wavetwin.ir.schedules import Step
from wavetwin.ir.section import Kind, declared_fields, label_of
from wavetwin.ir.sides import size_text
from wavetwin.ir.training import Training
from wavetwin.published import (
    PublishedModel,
    find_published,
    find_published_by_model,
    published_tables,
)

__all__ = ["Match", "match_published", "published_remarks", "published_sections", "seed_tables"]

_GAMMA = 0.1
"""Common to all published trainings, so their figures do not repeat it; so is the rest."""
_NOT_COMPARED = frozenset(
    {"record_gradients", "memory_format", "seed", "threads", "checkpoint_every"}
)
"""Of the training: what is no part of the method."""


@dataclass(frozen=True)
class Match:
    """The published model that a run is set against, and why that one."""

    model: PublishedModel
    reason: str


def match_published(run: Run) -> Match | None:
    """Return the published model of a run: the one whose spec describes the same model.

    Failing that, the one of the run's name: then the report says that the models differ.
    """
    model = find_published_by_model(run.model_digest)
    if model is not None:
        return Match(model, f"its model is that of {model.name}, by the model digest")
    model = find_published(run.name)
    if model is not None:
        reason = "by the run's name alone: its model digest is another one, so the models differ"
        return Match(model, reason)
    return None


def published_sections(runs: Sequence[Run]) -> list[Section]:
    """Return a section for each run that has a published model."""
    sections: list[Section] = []
    for run in runs:
        match = match_published(run)
        if match is None:
            continue
        header = ["", "measured [95 %]", "published", "difference", "poster"]
        remarks = [f"matched {match.reason}", *_differences(run, match.model)]
        rows = [row.cells() for row in published_rows(run, match.model)]
        title = f"{run.label} and the published {match.model.name}"
        sections.append(Section(title, header, rows, remarks, level=3))
    return sections


def published_remarks(runs: Sequence[Run]) -> list[str]:
    """Return what the sections have in common, and which runs have none."""
    without = [run.label for run in runs if match_published(run) is None]
    return [
        "published: the stored metrics of the classifiers of arXiv:2212.00394, one trained instance each; "
        "poster: that of arXiv:2209.11740, other trained instances in part",
        "published flip rates and KL divergences are of images that were not normalised; a run's "
        "are normalised as in training unless its entry says `normalise: false`, and rows say which",
        "steps agree: at step s of both, the share of pairs of frames s pixels apart whose first "
        "predictions differ, of images moved by up to 8 pixels; KL at k pixels of both is the mean of "
        "KL(p_0 || p_k)",
        "the published training loss is as its code recorded it; a run's is the mean "
        "cross-entropy over the epoch",
        *(f"no published model: {label}" for label in without),
    ]


def _start(plan: TrainingPlan) -> str | None:
    if plan.weights is not None:
        return plan.weights.describe()
    return None if plan.initial_weights is None else plan.initial_weights.checkpoint


def _differences(run: Run, model: PublishedModel) -> list[str]:
    """Return what of the training differs from the published one; one line, saying so if nothing."""
    if run.plan is None:
        return ["how these weights were trained is not known"]
    plan, data = run.plan, run.plan.data
    triples = [
        ("data set", data.dataset, model.dataset),
        ("image size", size_text(data.image_size), size_text(DATASETS[model.dataset].image_size)),
        ("augmentation", data.augmentation_text, DATASETS[model.dataset].augmentation),
        ("mean and std of normalisation", _statistics(data), (IMAGENET_MEAN, IMAGENET_STD)),
        *_training_triples(plan, _published_training(model)),
        ("weights to start from", _start(plan), None),
        ("lambdas", plan.regularisation and plan.regularisation.lambdas, model.lambdas),
        (
            "iterations",
            model.iterations
            if plan.iterations_per_epoch is None
            else plan.iterations_per_epoch * plan.epochs,
            model.iterations,
        ),
    ]
    differing = [
        f"{name} {_plain(own)} instead of {_plain(other)}"
        for name, own, other in triples
        if own != other
    ]
    if run.trial:
        differing.append("a trial over a few batches an epoch")
    if not differing:
        return ["trained as published"]
    return [f"trained otherwise than published: {'; '.join(differing)}"]


def _published_training(model: PublishedModel) -> Training:
    return Training(
        epochs=model.epochs,
        batch_size=model.batch_size,
        accumulate=model.batch_accumulation,
        optimizer=Sgd(lr=model.lr, momentum=model.momentum, weight_decay=model.weight_decay),
        schedule=Step(step_epochs=model.step_epochs, gamma=_GAMMA),
    )


def _training_triples(own: Training, published: Training) -> Iterator[tuple[str, Any, Any]]:
    """Yield the label of each field that decides what is computed, its own and its published value."""
    for each in declared_fields(Training):
        if each.name in _NOT_COMPARED:
            continue
        first, second = getattr(own, each.name), getattr(published, each.name)
        if isinstance(first, Kind):
            yield label_of(each), first.kind_name(), second.kind_name()
            yield from _kind_triples(first, second)
        else:
            yield label_of(each), first, second


def _kind_triples(own: Kind, published: Kind) -> Iterator[tuple[str, Any, Any]]:
    """Yield the same of the fields of either kind; None where a kind does not have one."""
    kinds = (type(published), type(own))
    declared = {each.name: each for kind in kinds for each in declared_fields(kind)}
    for name, each in declared.items():
        yield label_of(each), getattr(own, name, None), getattr(published, name, None)


def _statistics(data: DataPlan) -> tuple[tuple[float, ...], ...] | None:
    """Return mean and std; None where a run measures them."""
    return None if data.mean is None or data.std is None else (data.mean, data.std)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_plain, value))
    return "none" if value is None else str(value)


def seed_tables(runs: Sequence[Run]) -> list[Section]:
    """Return the seeds' tables of the runs' data sets as they are."""
    sections: list[Section] = []
    for dataset in sorted({run.dataset for run in runs if run.dataset is not None}):
        for table in published_tables():
            if table.dataset != dataset:
                continue
            header = ["", *(column.replace("_", " ") for column in table.columns)]
            rows = [
                [label + (f" ({model})" if model else "")]
                + ["" if value is None else in_form(value, "rate") for value in values]
                for label, model, values in table.rows
            ]
            remarks = [remark for remark in (table.source, table.note) if remark]
            sections.append(Section(f"Published: {table.title}", header, rows, remarks, level=3))
    return sections
