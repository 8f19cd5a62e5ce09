"""Give the numbers of scores.json dotted names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wavetwin.explain.runs.documents import UnreadableRunError
from wavetwin.ir.evaluations import Evaluation, OneCrop, Shifts, SplitEvaluation, read_entry
from wavetwin.runtime.evaluation.current_scores import current_records
from wavetwin.runtime.evaluation.score_records import Record, read_records

__all__ = ["Score", "read_scores"]


@dataclass(frozen=True, slots=True)
class Score:
    """One number of scores.json."""

    name: str
    """Dotted, such as `one_crop.test.top1_error` or `shifts.test.diagonal.8px.flip_rate.1`.

    It says, too, what keeps the score from being a whole evaluation of the last weights:
    `one_crop.test.limit_3.best.skipped.top1_error`.
    """
    value: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval."""


def read_scores(file: Path, *, all_weights: bool = False) -> tuple[list[Score], list[str]]:
    """Return the scores of the record of each entry that counts, and what marks some of them.

    With `all_weights` one counts of each entry for the last weights, for the best ones and for each
    snapshot; their names say which.

    Scores of the test images and of one crop come first, so that a name that leaves out its first
    parts means what most people mean by it.

    Raises:
        UnreadableRunError: the file is damaged.
    """
    marks: list[str] = []
    found: list[tuple[tuple[bool, bool], Score]] = []
    try:
        every = read_records(file)
        groups: dict[bool | str, list[Record]] = {}
        for record in every:
            weights = record.get("checkpoint") or "last"
            groups.setdefault(all_weights and weights, []).append(record)
        records = [record for group in groups.values() for record in current_records(group)]
    except (OSError, ValueError) as error:
        raise UnreadableRunError(f"{file.name} cannot be read: {error}") from error
    for record in records:
        entry = read_entry(record["entry"])
        is_other = isinstance(entry, SplitEvaluation) and not entry.is_of_test_images
        rank = (is_other, not isinstance(entry, OneCrop))
        intervals = record.get("intervals") or {}
        special = dict(_specialities(record))
        name = ".".join([_entry_name(entry), *special])
        scores = _score_values(name, record["scores"], intervals)
        found += [(rank, score) for score in scores]
        marks += [label for label in special.values() if label not in marks]
    return [score for _, score in sorted(found, key=lambda item: item[0])], marks


def _specialities(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a record is of, if not all images and the last weights: in names and in marks."""
    limit, weights = record.get("limit_batches"), record.get("checkpoint", "last")
    if limit is not None:
        yield f"limit_{limit}", f"scores of {limit} batches"
    if weights not in ("last", None):
        yield weights, f"scores of {weights} weights"
    if record.get("skipped"):
        yield "skipped", "scores without damaged images"


def _entry_name(entry: Evaluation) -> str:
    """Return the first parts of the names of an entry's scores; no two entries have the same."""
    parts = [entry.mode, entry.images]
    if isinstance(entry, Shifts):
        unit = "" if entry.pixel_divide == 1 else f"_by_1_{entry.pixel_divide}"
        parts += [entry.direction, f"{entry.max_shift}px{unit}"]
        if entry.max_step not in (None, entry.max_shift):
            parts.append(f"steps_to_{entry.max_step}")
    if not entry.normalise:
        parts.append("not_normalised")
    if entry.rounds_to_8_bits:
        parts.append("resized_in_8_bits")
    return ".".join(parts)


def _score_values(name: str, value: Any, ends: Any) -> Iterator[Score]:
    """Yield the finite numbers of nested scores; `ends` has their intervals, nested alike."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return
        low, high = ends or (None, None)
        yield Score(name, float(value), low, high)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _score_values(f"{name}.{key}", item, ends.get(key) if ends else None)
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[Any]", value)):
            yield from _score_values(f"{name}.{position}", item, ends[position] if ends else None)
