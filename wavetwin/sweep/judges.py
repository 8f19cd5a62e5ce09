"""Decide with Optuna which points are tried and which go on; without it where nothing is decided.

Optuna is asked in one order, whatever order results arrive in (`course`), from an empty study in
memory: its answers are a function of the sweep and of the results in the run folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep, RefusedPoint
from wavetwin.compiler.sweep.space import Point, SweptField, Value
from wavetwin.ir.sweeps.ranges import ListedRange
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.runtime.process.packages import require

if TYPE_CHECKING:
    import optuna

__all__ = ["Judge", "make_judge"]


class Judge(Protocol):
    """Who says which point is next and whether one goes on; points are named by their numbers, from 0."""

    def next_point(self) -> CheckedPoint | RefusedPoint | None:
        """Return the next point, whose number is the count of those before; None: no more.

        One that does not compile is over with this.
        """
        ...

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Return whether a point goes on after a milestone, where it has a value."""
        ...

    def end(self, number: int, value: float | None) -> None:
        """Take in the last value of a point that is not paused; None: it failed."""
        ...


class _Known:
    """Gives the points that are known, and lets all of them go on."""

    def __init__(self, checked: CheckedSweep) -> None:
        self._points: Iterator[CheckedPoint] = iter(checked.points)

    def next_point(self) -> CheckedPoint | None:
        return next(self._points, None)

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        return True

    def end(self, number: int, value: float | None) -> None:
        return


class _ByOptuna:
    """Asks a study of Optuna: its sampler for points, its pruner whether they go on."""

    def __init__(self, checked: CheckedSweep) -> None:
        self._checked = checked
        self._known = _Known(checked)
        self._study = _make_study(checked)
        self._trials: list[optuna.Trial] = []

    def next_point(self) -> CheckedPoint | RefusedPoint | None:
        import optuna

        if not self._checked.are_all_known and len(self._trials) == self._checked.num_points:
            return None
        point = self._known.next_point() if self._checked.are_all_known else None
        if point is None and self._checked.are_all_known:
            return None
        trial = self._study.ask()
        self._trials.append(trial)
        if point is not None:
            return point
        values = tuple((field, _suggested(trial, field)) for field in self._checked.space.fields)
        found = self._checked.compile(Point(values))
        if isinstance(found, RefusedPoint):
            # Without a value: the sampler takes it for worse than all that have one, and leads away.
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return found

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        import optuna

        trial = self._trials[number]
        trial.report(value, epoch)
        if not trial.should_prune():
            return True
        self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return False

    def end(self, number: int, value: float | None) -> None:
        import optuna

        trial = self._trials[number]
        if value is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, value)


def make_judge(checked: CheckedSweep) -> Judge:
    """Return who decides in a sweep.

    Raises:
        RunError: `package-missing`, Optuna is needed and not installed.
    """
    if checked.are_all_known and not SCHEDULERS[checked.file.spec.scheduler].pauses:
        return _Known(checked)
    return _ByOptuna(checked)


def _make_study(checked: CheckedSweep) -> optuna.Study:
    require("optuna", "this sweep", "choose search: random or grid and scheduler: none")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = checked.file.spec
    pruners: dict[str, Any] = {
        "none": optuna.pruners.NopPruner,
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(
            min_resource=spec.budget.grace_epochs, reduction_factor=spec.budget.reduction
        ),
        "median": optuna.pruners.MedianPruner,
    }
    sampler = optuna.samplers.TPESampler(seed=spec.search_seed % 2**32)
    return optuna.create_study(sampler=sampler, pruner=pruners[spec.scheduler]())


def _suggested(trial: optuna.Trial, field: SweptField) -> Value:
    """Return the value that the study suggests for a field."""
    known = field.range
    if not isinstance(known, ListedRange):
        number = trial.suggest_float(field.path, known.low, known.high, log=known.is_logarithmic)
        return field.number(known.rounded(number))
    last = len(known.values) - 1
    if known.is_ordered:
        return field.item(trial.suggest_int(field.path, 0, last))
    return field.item(trial.suggest_categorical(field.path, list(range(last + 1))))
