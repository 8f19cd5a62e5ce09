"""Set runs beside the published figures of the same model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.explain.report.figures import in_form
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.published_rows import published_rows
from wavetwin.explain.report.runs import Run
from wavetwin.published import (
    PublishedModel,
    find_published,
    find_published_by_model,
    published_tables,
)

__all__ = ["Match", "match_published", "published_remarks", "published_sections", "seed_tables"]

_GAMMA, _OPTIMIZER, _SCHEDULE = 0.1, "sgd", "step"
"""Common to all published trainings, so their figures do not repeat it; so is the rest."""
_AUGMENTATION = "crop_flip"
_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_IMAGE_SIZES = {"imagenet": 224, "cifar10": 32}


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
        "published: the stored metrics of seed 000's classifiers, one trained instance each; "
        "poster: seed 003, other trained instances in part",
        "published flip rates and KL divergences are of images that were not normalised; a run's "
        "are normalised as in training unless its entry says `normalise: false`, and rows say which",
        "steps agree: at step s of both, the share of pairs of frames s pixels apart whose first "
        "predictions differ, of images moved by up to 8 pixels; KL at k pixels of both is the mean of "
        "KL(p_0 || p_k)",
        "the published training loss is as its code recorded it; a run's is the mean "
        "cross-entropy over the epoch",
        *(f"no published model: {label}" for label in without),
    ]


def _differences(run: Run, model: PublishedModel) -> list[str]:
    """Return what of the training differs from the published one; one line, saying so if nothing."""
    if run.plan is None:
        return ["how these weights were trained is not known"]
    plan: Mapping[str, Any] = run.plan
    data, optimizer, schedule = plan["data"], plan["optimizer"], plan["schedule"]
    penalty = plan["regularisation"]
    per_epoch = plan["iterations_per_epoch"]
    pairs = {
        "data set": (data["dataset"], model.dataset),
        "image size": (data["image_size"], _IMAGE_SIZES[model.dataset]),
        "augmentation": (data["augmentation"], _AUGMENTATION),
        "mean and std of normalisation": (_statistics(data), _STATISTICS),
        "epochs": (plan["epochs"], model.epochs),
        "batch size": (plan["batch_size"], model.batch_size),
        "batch accumulation": (plan["accumulate"], model.batch_accumulation),
        "optimizer": (optimizer["name"], _OPTIMIZER),
        "learning rate": (optimizer["lr"], model.lr),
        "momentum": (optimizer["momentum"], model.momentum),
        "Nesterov's momentum": (bool(optimizer["nesterov"]), False),
        "weight decay": (optimizer["weight_decay"], model.weight_decay),
        "schedule": (schedule["name"], _SCHEDULE),
        "epochs a learning rate lasts": (schedule["step_epochs"], model.step_epochs),
        "factor of the learning rate": (schedule["gamma"], _GAMMA),
        "epochs of warm-up": (schedule["warmup_epochs"], 0),
        "weights to start from": (
            None if plan["initial_weights"] is None else plan["initial_weights"]["checkpoint"],
            None,
        ),
        "lambdas": (
            None if penalty is None else tuple(penalty["lambdas"]),
            model.lambdas,
        ),
        "precision": (plan["precision"], "float32"),
        "iterations": (
            model.iterations if per_epoch is None else per_epoch * plan["epochs"],
            model.iterations,
        ),
    }
    differing = [
        f"{name} {_plain(own)} instead of {_plain(published)}"
        for name, (own, published) in pairs.items()
        if own != published
    ]
    if run.trial:
        differing.append("a trial over a few batches an epoch")
    if not differing:
        return ["trained as published"]
    return [f"trained otherwise than published: {'; '.join(differing)}"]


def _statistics(data: Mapping[str, Any]) -> tuple[tuple[float, ...], ...] | None:
    """Return mean and std; None where a run measures them."""
    if data["mean"] is None or data["std"] is None:
        return None
    return tuple(data["mean"]), tuple(data["std"])


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
