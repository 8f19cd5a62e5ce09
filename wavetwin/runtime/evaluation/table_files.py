"""Keep the per-image table of a record as files beside the scores file, and read it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wavetwin.files.atomic import sync, write_file
from wavetwin.files.json_form import FormError, check_form
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.evaluation.per_image import PROBABILITIES, Evaluated
from wavetwin.runtime.evaluation.predictions_csv import predictions_csv
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.training.checkpoint import write_weights

__all__ = ["PredictedClasses", "read_classes", "write_tables"]

_ABOUT = "table"
"""Key in the header: what the table is of. A header of one key has the same bytes always."""
_AGAIN = "evaluate again with evaluate.py --again"


class _About(TypedDict):
    entry: dict[str, Any]
    class_names: NotRequired[list[str]]


@dataclass(frozen=True)
class PredictedClasses:
    """Labels and top predictions of images, as numbers of classes."""

    positions: Tensor
    """In the split, int64 (images,); so are the labels."""
    labels: Tensor
    classes: Tensor
    confidence: Tensor | None
    """Probability of each top prediction, float32; None in tables of before it was kept."""
    class_names: tuple[str, ...] | None
    """None in tables of before they were kept."""

    @property
    def is_right(self) -> Tensor:
        """Whether the top prediction is the label, bool (images,)."""
        return self.labels == self.classes


def write_tables(folder: Path, stem: str, entry: Any, evaluated: Evaluated) -> dict[str, str]:
    """Write the table of an entry and, where all probabilities are kept, the CSV of its predictions.

    Args:
        folder: is made.
        stem: of the files' names.
        entry: as the record names it.
        evaluated: has a table.

    Returns:
        The members of the record that name the files, relative to the folder above.

    Raises:
        RunError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be made: {error.strerror or error}", subject=folder
        ) from error
    about = {"entry": entry, "class_names": evaluated.class_names}
    file = folder / f"{stem}.safetensors"
    write_weights(file, evaluated.per_image, {_ABOUT: json.dumps(about)})
    names = {"predictions": f"{folder.name}/{file.name}"}
    if PROBABILITIES not in evaluated.per_image:
        return names
    text_file = folder / f"{stem}.csv"
    try:
        write_file(text_file, predictions_csv(evaluated), sync)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=text_file
        ) from error
    return names | {"predictions_csv": f"{folder.name}/{text_file.name}"}


def read_classes(file: Path, num_classes: int | None = None) -> PredictedClasses:
    """Read labels and top predictions from a table of one crop or of ten.

    Args:
        file: the table.
        num_classes: of the network; None: not known.

    Raises:
        RunError: it is missing, damaged, or no such table.
    """
    wanted = ("positions", "labels", "classes", "confidence")
    try:
        with safe_open(file, framework="pt") as opened:
            metadata, there = opened.metadata() or {}, set(opened.keys())
            columns = {name: opened.get_tensor(name) for name in wanted if name in there}
        names = _names_in(metadata)
        known = None if names is None else len(names)
        _check(columns, known if num_classes is None else num_classes)
    except (OSError, SafetensorError, ValueError) as error:
        raise RunError("file-damaged", f"cannot be read: {error}", _AGAIN, subject=file) from error
    return PredictedClasses(
        columns["positions"],
        columns["labels"],
        columns["classes"].long(),
        columns.get("confidence"),
        names,
    )


def _names_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    if _ABOUT not in metadata:
        return None
    about = parse_json(metadata[_ABOUT])
    check_form(about, _About, _ABOUT)
    return tuple(about.get("class_names") or ()) or None


def _check(columns: Mapping[str, Tensor], num_classes: int | None) -> None:
    """Raise FormError where columns are not what `read_classes` promises."""
    for name in ("positions", "labels", "classes"):
        if name not in columns:
            raise FormError(f"the column {name} is missing")
        if columns[name].dtype not in (torch.int32, torch.int64):
            raise FormError(f"the column {name} has no whole numbers")
    shapes = {tuple(column.shape) for column in columns.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1 or 0 in next(iter(shapes)):
        raise FormError(f"one column is as long as another, and not empty: these are {shapes}")
    for name in ("labels", "classes"):
        low, high = int(columns[name].min()), int(columns[name].max())
        if low < 0 or (num_classes is not None and high >= num_classes):
            raise FormError(f"the column {name} has classes {low} to {high} of {num_classes}")
    confidence = columns.get("confidence")
    if confidence is not None and not bool(((confidence >= 0) & (confidence <= 1.001)).all()):
        raise FormError("the column confidence has what is no probability")
