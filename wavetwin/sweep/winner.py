"""Find the spec that a sweep has chosen, as options over its base, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep, check_sweep
from wavetwin.ir.sweeps.objectives import OBJECTIVES
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.course import Course
from wavetwin.sweep.drive import make_course
from wavetwin.sweep.members import Members
from wavetwin.sweep.result_table import best_point, score_text
from wavetwin.sweep.results import Results

__all__ = ["Winner", "course_so_far", "find_winner"]


@dataclass(frozen=True, slots=True)
class Winner:
    """The best point of a sweep."""

    base: Path
    overrides: tuple[str, ...]
    origin: Sequence[str]
    """Where it came from, as lines of a comment."""


def course_so_far(checked: CheckedSweep, runs: Path | None = None) -> Course:
    """Return the course of a sweep by the results that are there; nothing is built or trained."""
    results = Results(OBJECTIVES[checked.file.spec.objective])
    course = make_course(checked, Members(checked, runs), results)
    course.advance()
    return course


def find_winner(sweep: Path, project: Path | None = None, runs: Path | None = None) -> Winner:
    """Return the best point that is trained to the end.

    Args:
        sweep: its file.
        project: its root; None: it is found from the file.
        runs: where runs are kept; None: the project's `runs/`.

    Raises:
        CompileError: the sweep is at fault.
        RunError: `no-winner`, there is none yet.
    """
    checked = check_sweep(sweep, project)
    course = course_so_far(checked, runs)
    best = best_point(course)
    if best is None or best.outcome is None:
        raise RunError(
            "no-winner",
            "has no point that is trained to the end",
            f"wavetwin sweep {sweep} trains it, or goes on; runs that lie elsewhere: --runs DIR",
            subject=checked.file.shown,
        )
    assert isinstance(best.point, CheckedPoint)
    seeds = ", ".join(map(str, checked.seeds))
    return Winner(
        checked.file.base,
        best.point.overrides,
        (
            f"The best of {checked.num_points} points of the sweep {checked.file.shown}: point "
            f"{best.number}, after {best.epoch} epochs with seeds {seeds}:",
            f"{score_text(checked, best.outcome)}.",
        ),
    )
