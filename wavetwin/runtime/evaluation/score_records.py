"""Read scores.json, and say what it holds; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from wavetwin.files.json_form import FormError, check_form
from wavetwin.files.json_text import parse_json
from wavetwin.ir.evaluations import EVALUATIONS, Corruptions, CropsEvaluation, Shifts

__all__ = ["Record", "check_scores_of_weights", "parse_scores", "read_records"]

Record = dict[str, Any]
"""One record of scores.json, held against `ScoreRecord` when it was read."""


class ScoreRecord(TypedDict):
    """The scores of one entry, and what they are of: records of earlier versions have less of it."""

    entry: dict[str, Any]
    """Of the evaluation suite, without the fields that are None."""
    scores: dict[str, Any]
    intervals: NotRequired[dict[str, Any] | None]
    predictions: NotRequired[str | None]
    """The per-image table, below the file's folder; so is the CSV file of the predictions."""
    predictions_csv: NotRequired[str | None]
    images: NotRequired[int]
    skipped: NotRequired[int | None]
    files: NotRequired[str | None]
    data: NotRequired[str | None]
    drift: NotRequired[list[str]]
    epochs: NotRequired[int | None]
    checkpoint: NotRequired[str | None]
    limit_batches: NotRequired[int | None]
    trained_limit_batches: NotRequired[int | None]
    weights: NotRequired[str]
    weights_file: NotRequired[str | None]
    spec: NotRequired[str]
    overrides: NotRequired[list[str]]
    options: NotRequired[list[str]]
    package_digest: NotRequired[str | None]
    digest: NotRequired[str]
    training_digest: NotRequired[str]
    model_digest: NotRequired[str]
    commit: NotRequired[str | None]
    dirty: NotRequired[bool]
    build_manifest_sha256: NotRequired[str | None]
    launch: NotRequired[dict[str, Any] | None]
    date: NotRequired[str]


class ScoresOfWeights(TypedDict):
    """What a record of weights without a run has, too: no manifest says more about them."""

    weights: str
    weights_file: str
    drift: list[str]
    spec: str
    digest: str
    training_digest: str
    model_digest: str
    commit: str | None
    dirty: bool


class ScoresFile(TypedDict):
    """The whole document."""

    wavetwin_scores: Literal[1]
    scores: list[ScoreRecord]


def read_records(file: Path) -> list[Record]:
    """Return the records of a scores file, the oldest first; none where there is no file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or no scores file of this version, or damaged; the message says
            where, and leaves out the file's name.
    """
    return parse_scores(file.read_bytes()) if file.is_file() else []


def parse_scores(content: bytes) -> list[Record]:
    """Return the records of a scores file's content.

    Raises:
        ValueError: as `read_records`.
    """
    document = parse_json(content)
    if not isinstance(document, dict) or document.get("wavetwin_scores") != 1:
        raise FormError("it is no scores file of this version of wavetwin")
    check_form(document, ScoresFile)
    records = cast("list[Record]", document["scores"])
    for number, record in enumerate(records):
        _check_record(record, f"scores[{number}]")
    return records


def check_scores_of_weights(record: Record, number: int) -> None:
    """Hold a record against what one of weights without a run has.

    Raises:
        FormError: it has another form.
    """
    check_form(record, ScoresOfWeights, f"scores[{number}]")


def _check_record(record: Record, at: str) -> None:
    entry = EVALUATIONS.read(record["entry"], fills=True, at=f"{at}.entry")
    scores, inside = record["scores"], f"{at}.scores"
    check_form(scores, entry.scores_form, inside)
    for name in [row.name for row in entry.headline if row.name in scores]:
        check_form(scores[name], float, f"{inside}.{name}")
    if isinstance(entry, Shifts):
        _check_shifts(entry, record, at)
    if isinstance(entry, CropsEvaluation):
        for number, metric in enumerate(entry.metrics):
            if metric.module.files is None:
                raise FormError(f"{at}.entry.metrics[{number}].module.files is missing")
    if isinstance(entry, Corruptions):
        for name, errors in scores.get("top1_error", {}).items():
            _check_steps(errors, f"{inside}.top1_error.{name}")
    for name, ends in (record.get("intervals") or {}).items():
        if name in scores:
            _check_ends(scores[name], ends, f"{at}.intervals.{name}")


def _check_shifts(entry: Shifts, record: Record, at: str) -> None:
    scores, inside = record["scores"], f"{at}.scores"
    for name in ("direction", "max_shift"):
        if record["entry"].get(name) is None:
            raise FormError(f"{at}.entry.{name} is missing")
    if entry.pixel_divide < 1:
        raise FormError(f"{at}.entry.pixel_divide: 1 or more is needed")
    if entry.measure.compares_steps:
        _check_steps(scores[entry.metric], f"{inside}.{entry.metric}")
    else:
        _check_grid(scores[entry.metric], f"{inside}.{entry.metric}")


def _check_steps(values: Mapping[str, float], at: str) -> None:
    for step in values:
        if not (step.isascii() and step.isdecimal()):
            raise FormError(f"{at}.{step!a}: a whole number is needed as a key")


def _check_grid(values: list[Any], at: str) -> None:
    if not values:
        raise FormError(f"{at}: a list of one value or more is needed")
    for row in values:
        if isinstance(row, list) and len(cast("list[Any]", row)) != len(values):
            raise FormError(f"{at}: as many columns as rows are needed")


def _check_ends(value: object, ends: object, at: str) -> None:
    """Hold intervals against the scores that they are of: nested alike, a pair a number."""
    if ends is None:
        return
    if isinstance(value, dict):
        check_form(ends, dict[str, Any], at)
        for key, inner in cast("dict[str, object]", ends).items():
            if key in value:
                _check_ends(cast("dict[str, object]", value)[key], inner, f"{at}.{key}")
    elif isinstance(value, list):
        items = cast("list[object]", value)
        check_form(ends, tuple[(Any,) * len(items)], at)
        for number, (item, inner) in enumerate(zip(items, cast("list[Any]", ends), strict=True)):
            _check_ends(item, inner, f"{at}[{number}]")
    else:
        check_form(ends, tuple[float, float], at)
