"""Check what several fields of a sweep say together, before any point of it is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.sweep.document import SweepFile
from wavetwin.compiler.sweep.language import BudgetSpec, RangeSpec
from wavetwin.compiler.sweep.space import MAX_POINTS, Space
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.sweeps.ranges import ENDS, RANGES, ListedRange
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.ir.sweeps.searches import SEARCHES

__all__ = ["check_ranges", "check_settings", "check_space"]

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SAID_ELSEWHERE = {
    "wavetwin": "it is the version of the base's language",
    "extends": "the base says its parents",
    "name": "members are named by what varies",
    "summary": "it changes nothing of an experiment",
    "tags": "it changes nothing of an experiment",
    "published": "it changes nothing of an experiment",
    "lint": "it changes nothing of an experiment",
    "evaluation": "it changes nothing of a training",
    "training.seed": "`seeds` says it",
}
"""Fields that cannot be varied, and why."""


def check_ranges(file: SweepFile) -> list[Diagnostic]:
    """Return what keeps a space from being made of the fields that are varied."""
    checks = (_ranges, _paths, _overlaps, _drawing, _seeds)
    return [each for check in checks for each in check(file)]


def check_settings(file: SweepFile) -> list[Diagnostic]:
    """Return which fields mean nothing beside the others."""
    return [each for check in (_search, _budget) for each in check(file)]


def check_space(file: SweepFile, space: Space) -> list[Diagnostic]:
    """Return what keeps points from being made of a space whose ranges are right."""
    return [*_unlisted(file, space), *_number_of_points(file, space)]


def _ranges(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield fields that do not have one range, and ranges without extent."""
    for field in file.spec.space:
        given = given_range_names(file, field)
        if len(given) != 1:
            headline = (
                f"{field} has {len(given)} ranges: {join_texts(given, 'and')}"
                if given
                else f"{field} has no range"
            )
            yield file.fault(
                "not-one-range",
                headline,
                "space",
                field,
                at_key=True,
                help=f"give it one of {', '.join(RANGES)}",
            )
            continue
        (name,) = given
        if name in ENDS:
            low, high = getattr(file.spec.space[field], name)
            if low >= high:
                yield file.fault(
                    "range-reversed",
                    f"{field} goes from {low} to {high}",
                    "space",
                    field,
                    name,
                    help="write the smaller number first"
                    if low > high
                    else f"write it into {file.spec.base}, or as choices: [{low}]",
                )


def given_range_names(file: SweepFile, field: str) -> list[str]:
    """Return the keys of the ranges that a field of the space has."""
    swept: RangeSpec = file.spec.space[field]
    return [name for name in RANGES if getattr(swept, name) is not None]


def _paths(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield keys of the space that are no paths of fields, or of fields that cannot be varied."""
    for field in file.spec.space:
        wrong = [part for part in field.split(".") if not _KEY.fullmatch(part)]
        if wrong:
            is_index = wrong[0].isdigit()
            headline = (
                f"'{wrong[0]}' is an index of a list, and a list is replaced as a whole"
                if is_index
                else f"'{field}' is not the path of a field"
            )
            help_text = (
                f"write {field.partition(f'.{wrong[0]}')[0]}: {{choices: [[...], [...]]}}"
                if is_index
                else "a path is the names of sections and field, such as training.optimizer.lr"
            )
            yield file.fault(
                "not-a-field-path", headline, "space", field, at_key=True, help=help_text
            )
            continue
        reason = _SAID_ELSEWHERE.get(field) or _SAID_ELSEWHERE.get(field.partition(".")[0])
        help_text = "leave it out of `space`"
        inside = _said_elsewhere_within(field)
        if inside:
            reason = f"it has {inside[0]}, and {_SAID_ELSEWHERE[inside[0]]}"
            help_text = f"vary its fields one by one, such as {field}.optimizer"
        if field == "training.epochs" and file.spec.budget.max_epochs is not None:
            reason, help_text = "`budget.max_epochs` says it", "leave one of the two out"
        if reason is not None:
            yield file.fault(
                "field-not-varied",
                f"{field} cannot be varied: {reason}",
                "space",
                field,
                at_key=True,
                help=help_text,
            )


def _said_elsewhere_within(field: str) -> list[str]:
    """Return what of a section cannot be varied."""
    return [each for each in _SAID_ELSEWHERE if each.startswith(f"{field}.")]


def _overlaps(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield fields of which one is a part of the other."""
    for first, second in combinations(file.spec.space, 2):
        outer, inner = sorted((first, second), key=len)
        if inner.startswith(f"{outer}.") and not _said_elsewhere_within(outer):
            yield file.fault(
                "fields-overlap",
                f"{inner} is a part of {outer}, and both are varied",
                "space",
                second,
                at_key=True,
                help=f"write values of {outer} that say {inner}, too, or vary its other fields one by one",
            )


def _drawing(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield what a search that draws points lacks."""
    spec = file.spec
    search = SEARCHES[spec.search]
    if search.draws and spec.budget.points is None:
        yield file.fault(
            "points-missing",
            f"search: {search.name} draws points, and nothing says how many",
            "search",
            help="set budget.points",
        )
    if search.draws and not spec.space:
        yield file.fault(
            "space-is-empty",
            f"search: {search.name} needs a space to draw from",
            "search",
            help="give `space` a field, or leave `search` out: the base alone is trained",
        )


def _seeds(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield seeds that are there already: the same training twice is no second value of a mean."""
    seeds = file.spec.seeds
    for number, seed in enumerate(seeds):
        if seed in seeds[:number]:
            yield file.fault(
                "repeated-seed",
                f"seed {seed} is listed twice, and trains the same again",
                "seeds",
                number,
                help="list each seed once",
            )


def _search(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield what the chosen search does not read."""
    spec = file.spec
    search = SEARCHES[spec.search]
    if not search.draws:
        drawing = [each.name for each in SEARCHES.values() if each.draws]
        for path in (("budget", "points"), ("search_seed",)):
            if file.node(*path) is not None:
                yield _does_not_apply(file, path, f"search: {join_texts(drawing, 'or')}")
    if not search.follows_results and not SCHEDULERS[spec.scheduler].pauses:
        deciding = [f"search: {e.name}" for e in SEARCHES.values() if e.follows_results]
        deciding += [f"scheduler: {e.name}" for e in SCHEDULERS.values() if e.pauses]
        if file.node("parallel") is not None:
            yield _does_not_apply(file, ("parallel",), join_texts(deciding, "or"))


def _budget(file: SweepFile) -> Iterator[Diagnostic]:
    """Yield parts of the budget that the chosen scheduler does not read."""
    chosen = SCHEDULERS[file.spec.scheduler]
    known = [
        name
        for name in BudgetSpec.model_fields
        if any(name in e.reads for e in SCHEDULERS.values())
    ]
    for name in known:
        if name not in chosen.reads and file.node("budget", name) is not None:
            readers = [each.name for each in SCHEDULERS.values() if name in each.reads]
            yield _does_not_apply(file, ("budget", name), f"scheduler: {join_texts(readers, 'or')}")


def _does_not_apply(file: SweepFile, path: Sequence[str], needed: str) -> Diagnostic:
    return file.fault(
        "field-does-not-apply",
        f"{'.'.join(path)} means nothing here: it belongs to {needed}",
        *path,
        at_key=True,
        help=f"leave it out, or choose {needed}",
    )


def _unlisted(file: SweepFile, space: Space) -> Iterator[Diagnostic]:
    """Yield intervals where every value has to be listed."""
    if SEARCHES[file.spec.search].draws:
        return
    drawing = [each.name for each in SEARCHES.values() if each.draws]
    for field in space.fields:
        if not isinstance(field.range, ListedRange):
            yield file.fault(
                "grid-needs-lists",
                f"{field.path} is an interval, and a grid takes every value",
                "space",
                field.path,
                at_key=True,
                help=f"list values by choices or grid, or choose search: {join_texts(drawing, 'or')}",
            )


def _number_of_points(file: SweepFile, space: Space) -> Iterator[Diagnostic]:
    size, wanted = space.size, file.spec.budget.points
    if size is None:
        return
    search = SEARCHES[file.spec.search]
    if not search.draws and size > MAX_POINTS:
        yield file.fault(
            "too-many-points",
            f"the grid has {size:,} points, and a sweep has at most {MAX_POINTS:,}",
            "space",
            at_key=True,
            help="list fewer values, or draw some: search: random with budget.points",
        )
    if search.draws and wanted is not None and wanted > size:
        yield file.fault(
            "points-above-space",
            f"the space has {size:,} points, and {wanted:,} are to be drawn",
            "budget",
            "points",
            help=f"set points to at most {size}, or choose search: grid, which takes all",
        )
