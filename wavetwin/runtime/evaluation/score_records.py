"""Read scores.json, and say what it holds; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from wavetwin.files.json_form import FormError, check_form
from wavetwin.files.json_text import parse_json

__all__ = ["Record", "check_scores_of_weights", "parse_scores", "read_records"]

Record = dict[str, Any]
"""One record of scores.json, held against `ScoreRecord` when it was read."""


class ScoredEntry(TypedDict):
    """An entry of the evaluation suite, without the fields that its mode does not have."""

    mode: str
    split: NotRequired[str | None]
    direction: NotRequired[str | None]
    max_shift: NotRequired[int | None]
    pixel_divide: NotRequired[int]
    max_step: NotRequired[int | None]
    metric: NotRequired[str | None]
    root: NotRequired[str | None]
    normalise: NotRequired[bool]
    resize: NotRequired[str]


class ScoreRecord(TypedDict):
    """The scores of one entry, and what they are of: records of earlier versions have less of it."""

    entry: ScoredEntry
    scores: dict[str, Any]
    intervals: NotRequired[dict[str, Any] | None]
    predictions: NotRequired[str | None]
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


class ErrorRates(TypedDict):
    """Of one crop and of ten."""

    top1_error: float
    top5_error: float


class FlipRates(TypedDict):
    """Of shifts, by their step."""

    flip_rate: dict[str, float]
    mean_flip_rate: float


class Divergences(TypedDict):
    """Of shifts: by the shift, or by both shifts where images move in both directions."""

    kl_divergence: list[float] | list[list[float]]


class CorruptionErrors(TypedDict):
    """Of corruptions, by their severity."""

    top1_error: NotRequired[dict[str, dict[str, float]]]


class PerturbationRates(TypedDict):
    """Of perturbations."""

    flip_rate: NotRequired[dict[str, float]]


_SCORES: dict[str, Any] = {
    "one_crop": ErrorRates,
    "ten_crops": ErrorRates,
    "corruptions": CorruptionErrors,
    "perturbations": PerturbationRates,
}
"""By the mode; shifts have one of two measures."""


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
    entry, scores, inside = record["entry"], record["scores"], f"{at}.scores"
    mode = entry["mode"]
    check_form(scores, _SCORES.get(mode, dict[str, Any]), inside)
    if mode == "shifts":
        for name in ("direction", "max_shift"):
            if entry.get(name) is None:
                raise FormError(f"{at}.entry.{name} is missing")
        if entry.get("pixel_divide", 1) < 1:
            raise FormError(f"{at}.entry.pixel_divide: 1 or more is needed")
        check_form(scores, Divergences if "kl_divergence" in scores else FlipRates, inside)
        _check_steps(scores.get("flip_rate", {}), f"{inside}.flip_rate")
        _check_grid(scores.get("kl_divergence", [0.0]), f"{inside}.kl_divergence")
    if mode == "corruptions":
        for name, errors in scores.get("top1_error", {}).items():
            _check_steps(errors, f"{inside}.top1_error.{name}")
    for name, ends in (record.get("intervals") or {}).items():
        if name in scores:
            _check_ends(scores[name], ends, f"{at}.intervals.{name}")


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
