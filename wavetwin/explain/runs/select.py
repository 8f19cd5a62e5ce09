"""Select runs: by filters, by sorting, and by names given for a run."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.compiler.parse.scalars import resolve_scalar
from wavetwin.compiler.parse.suggest import nearest
from wavetwin.diagnostics.listing import list_some
from wavetwin.explain.runs.folders import RunInfo
from wavetwin.explain.runs.index import RunIndex
from wavetwin.explain.runs.scores import Score
from wavetwin.runtime.process.errors import RunError

__all__ = ["Condition", "Filters", "find_run", "find_score", "parse_condition", "select_runs"]

_CONDITION = re.compile(r"\s*([^\s=!<>]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERS = ("<", "<=", ">", ">=")
_SORT_FIELDS = ("name", "started", "seed", "epochs", "status")


@dataclass(frozen=True, slots=True)
class Condition:
    """`NAME OPERATOR VALUE`; the value as YAML means it."""

    name: str
    comparison: str
    value: Any

    def holds(self, found: Any) -> bool:
        """Return whether a value fits; texts, lists and truths have no order."""
        if self.comparison in _ORDERS and not _is_number(found):
            return False
        if _is_number(found) != _is_number(self.value):
            # True is no 1 here.
            return self.comparison == "!="
        return _OPERATORS[self.comparison](found, self.value)


@dataclass(frozen=True, slots=True)
class Filters:
    """What `wavetwin runs list` keeps; everything given must fit."""

    tags: Sequence[str] = ()
    digest: str | None = None
    """How one of the three digests begins."""
    name: str | None = None
    """A pattern with `*`, `?` and `[...]`."""
    status: str | None = None
    where: Sequence[str] = ()
    """Conditions on spec fields."""
    scores: Sequence[str] = ()
    """Conditions on scores."""
    sort: str | None = None


def parse_condition(text: str, *, wants_number: bool = False) -> Condition:
    """Read a condition such as `training.optimizer.lr=0.01`.

    Raises:
        RunError: it is not of that form, or orders something that has no order.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        raise RunError(
            "bad-argument",
            f"'{text}' is not a condition",
            "a condition is a name, one of = != < <= > >=, and a value: training.seed=3",
        )
    value: Any = resolve_scalar(match[3])
    if not isinstance(value, str):
        pass
    elif match[3][0] == match[3][-1] and match[3][0] in "'\"" and len(match[3]) > 1:
        value = match[3][1:-1]
    elif match[3].startswith("["):
        value = [resolve_scalar(item.strip()) for item in match[3].strip("[]").split(",")]
    if (wants_number or match[2] in _ORDERS) and not _is_number(value):
        raise RunError(
            "bad-argument",
            f"'{text}': {match[3]} is not a number",
            "only numbers have an order, and scores are",
        )
    return Condition(match[1], match[2], value)


def select_runs(index: RunIndex, filters: Filters) -> list[RunInfo]:
    """Return the runs that fit every filter, sorted.

    Raises:
        RunError: a filter is not well-formed, or names a field or score that no run has.
    """
    fields = [parse_condition(text) for text in filters.where]
    scores = [parse_condition(text, wants_number=True) for text in filters.scores]
    _check_fields(index, fields)
    wanted = [condition.name for condition in scores]
    sort = filters.sort
    key = None if sort is None else sort.removeprefix("-")
    if key is not None and key not in _SORT_FIELDS:
        wanted.append(key)
    for name in wanted:
        _check_score(index, name)
    runs = [
        index.info(path)
        for path in _paths(index, filters)
        if all(_field_holds(index, path, condition) for condition in fields)
    ]
    runs = [run for run in runs if all(_score_holds(run, condition) for condition in scores)]
    return runs if key is None else _sorted(runs, key, descending=sort != key)


def find_score(name: str, scores: Iterable[Score]) -> Score | None:
    """Return the first score that a name means.

    A name may leave out any parts but the last: `top1_error` and `one_crop.top1_error` both mean
    `one_crop.test.top1_error`.
    """
    for score in scores:
        if _means(name, score.name):
            return score
    return None


def find_run(index: RunIndex, text: str, runs: Path) -> RunInfo:
    """Return the run that a path, a name, or how one of them begins means.

    Raises:
        RunError: it means none, or several.
    """
    paths = index.paths()
    folder = Path(text)
    if folder.is_dir() and (folder / "manifest.json").is_file():
        inside = folder.resolve()
        root = runs.resolve()
        if inside.is_relative_to(root) and inside.relative_to(root).as_posix() in paths:
            return index.info(inside.relative_to(root).as_posix())
        if not inside.is_relative_to(root):
            raise RunError(
                "bad-argument",
                f"is not below {runs}",
                f"--runs {folder.absolute().parents[1]}",
                subject=folder,
            )
    word = text.strip("/")
    known = [index.info(path) for path in paths]
    tests: tuple[Callable[[RunInfo], bool], ...] = (
        lambda run: word == run.path,
        lambda run: word in (run.name, run.run),
        lambda run: run.path.startswith(word) or run.run.startswith(word),
        lambda run: any(digest.startswith(word) for digest in _digests(run)),
    )
    for fits in tests:
        found = [run for run in known if fits(run)] if word else []
        if len(found) == 1:
            return found[0]
        if found:
            shown = list_some(run.path for run in found)
            raise RunError(
                "name-ambiguous", f"'{text}' means several runs: {shown}", "name one of them"
            )
    raise RunError(
        "run-not-found",
        f"no run in {runs} is called '{text}'",
        "`wavetwin runs list` shows what is",
    )


def _paths(index: RunIndex, filters: Filters) -> list[str]:
    conditions, values = ["1"], list[object]()
    for tag in filters.tags:
        conditions.append("path IN (SELECT path FROM tags WHERE tag = ?)")
        values.append(tag)
    if filters.digest is not None:
        prefix = filters.digest.lower()
        columns = ("digest", "training_digest", "model_digest")
        conditions.append(f"({' OR '.join(f'substr({c}, 1, ?) = ?' for c in columns)})")
        values += [len(prefix), prefix] * len(columns)
    if filters.name is not None:
        conditions.append("name GLOB ?")
        values.append(filters.name)
    if filters.status is not None:
        conditions.append("status = ?")
        values.append(filters.status)
    return index.paths(" AND ".join(conditions), tuple(values))


def _field_holds(index: RunIndex, path: str, condition: Condition) -> bool:
    """Return whether a run's spec fits; a field that it does not have is null."""
    _, value = index.field(path, condition.name)
    return condition.holds(value)


def _score_holds(run: RunInfo, condition: Condition) -> bool:
    score = find_score(condition.name, run.scores)
    return score is not None and condition.holds(score.value)


def _check_fields(index: RunIndex, conditions: Iterable[Condition]) -> None:
    """Refuse a field that no run has: a misspelt one would fit nothing, or everything."""
    names = index.field_names()
    for condition in conditions:
        if condition.name not in names:
            near = nearest(condition.name, names)
            raise RunError(
                "unknown-name",
                f"no run's spec has a field '{condition.name}'",
                f"did you mean '{near}'?" if near else "`wavetwin runs show RUN` lists the fields",
            )


def _check_score(index: RunIndex, name: str) -> None:
    names = index.score_names()
    if not any(_means(name, known) for known in names):
        near = nearest(name, sorted({part for known in names for part in known.split(".")}))
        raise RunError(
            "unknown-name",
            f"no run has a score '{name}'",
            f"did you mean '{near}'?" if near else "`wavetwin runs show RUN` lists the scores",
        )


def _means(name: str, full: str) -> bool:
    wanted, parts = name.split("."), full.split(".")
    if wanted[-1] != parts[-1]:
        return False
    rest = iter(parts)
    return all(part in rest for part in wanted)


def _sorted(runs: list[RunInfo], key: str, *, descending: bool) -> list[RunInfo]:
    """Sort; runs that lack the value come last either way."""

    def value(run: RunInfo) -> Any:
        if key in _SORT_FIELDS:
            return getattr(run, key)
        score = find_score(key, run.scores)
        return None if score is None else score.value

    having = [run for run in runs if value(run) is not None]
    having.sort(key=value, reverse=descending)
    return having + [run for run in runs if value(run) is None]


def _digests(run: RunInfo) -> tuple[str, str, str]:
    return run.digest, run.training_digest, run.model_digest


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
