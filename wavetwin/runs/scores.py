"""The numbers of scores.json, each with a dotted name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wavetwin.runs.documents import UnreadableRunError, check_text, read_json

__all__ = ["Score", "read_scores"]


@dataclass(frozen=True, slots=True)
class Score:
    """One number of scores.json."""

    name: str
    """Dotted, such as `one_crop.test.top1_error` or `shifts.test.diagonal.8px.flip_rate.1`."""
    value: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval."""


def read_scores(file: Path) -> list[Score]:
    """Return the scores of the last record of each entry, of the test images and one crop first.

    So a name that leaves out its first parts means what most people mean by it.

    Raises:
        UnreadableRunError: the file is damaged.
    """
    if not file.is_file():
        return []
    document = read_json(file)
    current: dict[str, dict[str, Any]] = {}
    found: list[tuple[tuple[bool, bool], Score]] = []
    try:
        for record in document["scores"]:
            current[json.dumps(record["entry"], sort_keys=True)] = record
        for record in current.values():
            entry = record["entry"]
            rank = ((entry.get("split") or "test") != "test", entry["mode"] != "one_crop")
            intervals = record.get("intervals") or {}
            scores = _score_values(_entry_name(entry), record["scores"], intervals)
            found += [(rank, score) for score in scores]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise UnreadableRunError(f"{file.name} is not as scores are: {error!r}") from error
    return [score for _, score in sorted(found, key=lambda item: item[0])]


def _entry_name(entry: Mapping[str, Any]) -> str:
    parts = [entry["mode"]]
    if entry.get("root"):
        parts.append(Path(entry["root"]).name.replace(".", "_"))
    else:
        parts.append(entry.get("split") or "test")
    if entry.get("direction"):
        divide = entry.get("pixel_divide", 1)
        unit = "" if divide == 1 else f"_by_1_{divide}"
        parts += [entry["direction"], f"{entry['max_shift']}px{unit}"]
    if not entry.get("normalise", True):
        parts.append("not_normalised")
    return ".".join(parts)


def _score_values(name: str, value: Any, ends: Any) -> Iterator[Score]:
    """Yield the finite numbers of nested scores; `ends` has their intervals, nested alike."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        check_text(name)
        if not math.isfinite(value):
            return
        low, high = ends or (None, None)
        yield Score(name, float(value), low, high)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _score_values(f"{name}.{key}", item, ends.get(key) if ends else None)
    elif isinstance(value, list):
        for place, item in enumerate(cast("list[Any]", value)):
            yield from _score_values(f"{name}.{place}", item, ends[place] if ends else None)
