"""Read the published figures that runs are set against; standard library only.

`wcnn_classifiers.json` has the 35 classifiers of wcnn, the code of arXiv:2212.00394: hyper-parameters, curves and scores, a
model a line, accuracies turned into errors, and the model digest of the spec that is shipped for
it. `tables.json` has the tables of other papers and posters. Neither takes part in a build, in
training or in a score: the package's digest leaves them out.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "SHIFT_UNIT",
    "PublishedModel",
    "PublishedTable",
    "find_published",
    "find_published_by_model",
    "published_models",
    "published_tables",
]

SHIFT_UNIT = 2
"""Published KL divergences are at every half pixel, flip rates at every whole one."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """One published classifier; rates are shares between 0 and 1."""

    name: str
    model_digest: str
    """Of the shipped spec of this name: recognises a run's model whatever the run is called."""
    architecture: str
    """In the names of its source; so is `config`."""
    config: str | None
    dataset: str
    epochs: int
    trainable_parameters: int
    lr: float
    momentum: float
    weight_decay: float
    step_epochs: int
    """The learning rate is divided by 10 after each so many epochs."""
    batch_size: int
    batch_accumulation: int
    lambdas: tuple[float, ...] | None
    """Of the regularisation, a band each."""
    iterations: int
    elapsed_seconds: int
    train_loss: tuple[float, ...]
    """One an epoch; so are the validation errors."""
    validation_top1_error: tuple[float, ...]
    validation_top5_error: tuple[float, ...] | None
    scores: Mapping[str, Any]
    """By split, then mode; beside the splits `corruptions` and `perturbations`."""

    def error(self, mode: str, split: str, name: str) -> float | None:
        """Return `top1_error` or `top5_error` of `one_crop` or `ten_crops`."""
        return self.scores.get(split, {}).get(mode, {}).get(name)

    def flip_rates(self, direction: str, split: str = "test") -> dict[int, float]:
        """Return the flip rate by step in pixels; empty where none was published."""
        rates = self._shifts(direction, split).get("flip_rate", ())
        return dict(enumerate(rates, 1))

    def divergences(self, direction: str, split: str = "test") -> tuple[float, ...]:
        """Return the KL divergence from the image that is not moved, a half pixel a step."""
        return tuple(self._shifts(direction, split).get("kl_divergence", ()))

    def corruption_errors(self) -> dict[str, dict[int, float]]:
        """Return the top-1 error on ImageNet-C by corruption and severity."""
        return {
            name: dict(enumerate(errors["top1_error"], 1))
            for name, errors in self.scores.get("corruptions", {}).items()
        }

    def perturbation_rates(self) -> dict[str, dict[int, float]]:
        """Return the flip rate on ImageNet-P by perturbation and step in frames."""
        rates: Mapping[str, Any] = self.scores.get("perturbations", {})
        return {name: dict(enumerate(steps, 1)) for name, steps in rates.items()}

    def _shifts(self, direction: str, split: str) -> Mapping[str, Any]:
        return self.scores.get(split, {}).get("shifts", {}).get(direction, {})


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of figures on one data set; shares between 0 and 1, None where there is no figure."""

    source: str
    title: str
    dataset: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str | None, tuple[float | None, ...]], ...]
    """What it is of, the shipped spec of it (where there is one), the figures."""

    def row_of(self, model: str) -> dict[str, float]:
        """Return the figures of a shipped spec by column; empty where it has none."""
        for _, name, values in self.rows:
            if name == model:
                found = zip(self.columns, values, strict=True)
                return {column: value for column, value in found if value is not None}
        return {}


@functools.cache
def published_models() -> Mapping[str, PublishedModel]:
    """Return the published classifiers by name."""
    document = json.loads((_FOLDER / "wcnn_classifiers.json").read_text(encoding="utf-8"))
    models: dict[str, PublishedModel] = {}
    for name, values in document["models"].items():
        lists = {key: tuple(item) for key, item in values.items() if isinstance(item, list)}
        models[name] = PublishedModel(name=name, **(values | lists))
    return models


def find_published(name: str) -> PublishedModel | None:
    """Return the published classifier of a name."""
    return published_models().get(name)


def find_published_by_model(model_digest: str) -> PublishedModel | None:
    """Return the published classifier whose shipped spec has this model digest."""
    for model in published_models().values():
        if model.model_digest == model_digest:
            return model
    return None


@functools.cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Return the tables of the seeds, in the seeds' order."""
    documents = json.loads((_FOLDER / "tables.json").read_text(encoding="utf-8"))
    return tuple(
        PublishedTable(
            source=document["source"],
            title=document["title"],
            dataset=document["dataset"],
            note=document["note"],
            columns=tuple(document["columns"]),
            rows=tuple((label, model, tuple(values)) for label, model, *values in document["rows"]),
        )
        for document in documents
    )
