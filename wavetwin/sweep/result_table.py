"""Write the table of what a sweep has found: points in the order of their score, the best one first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wavetwin.compiler.sweep.members import CheckedSweep, RefusedPoint
from wavetwin.diagnostics import render_text
from wavetwin.explain.text_table import align
from wavetwin.ir.sweeps.objectives import OBJECTIVES
from wavetwin.runtime.evaluation.student import mean_interval
from wavetwin.sweep.course import Course, Outcome, Progress

__all__ = ["best_point", "result_rows", "result_table", "score_text", "summary_lines"]


def result_table(checked: CheckedSweep, course: Course) -> str:
    """Return the table, below it the best point and how many are in which state, and what does not compile."""
    rows = result_rows(checked, course)
    lines = align(rows, right=(0, 1, 4, 5, 6)) if len(rows) > 1 else ["no point has begun"]
    summary = [f"{name:10}{text}" for name, text in summary_lines(checked, course)]
    return "".join(f"{line}\n" for line in (*lines, "", *summary, *_refusals(course)))


def _refusals(course: Course) -> Sequence[str]:
    """Return why points that were asked for do not compile."""
    lines: list[str] = []
    for each in course.points:
        if isinstance(each.point, RefusedPoint):
            text = render_text(each.point.diagnostics)
            lines += [
                "",
                f"point {each.number} does not compile: {each.point.label}",
                text.rstrip(),
            ]
    return lines


def result_rows(checked: CheckedSweep, course: Course) -> list[tuple[str, ...]]:
    """Return the heads of the columns and a row for each point: first those with a score, the best first."""
    objective = OBJECTIVES[checked.file.spec.objective]
    heads = ("rank", "point", "of the base", "state", "epochs", objective.name, *_head(checked))
    begun = [each for each in course.points if each.outcome is None]
    return [
        heads,
        *(
            (
                str(rank) if each.state == "complete" else "",
                str(each.number),
                each.point.label,
                each.state,
                str(each.epoch),
                *_score_cells(checked, each.outcome),
            )
            for rank, each in enumerate((*course.ranked(), *begun), 1)
        ),
    ]


def _head(checked: CheckedSweep) -> tuple[str, ...]:
    return ("95 % interval",) if len(checked.seeds) > 1 else ()


def _score_cells(checked: CheckedSweep, outcome: Outcome | None) -> Sequence[str]:
    empty = ["-"] * (1 + len(_head(checked)))
    if outcome is None or not outcome.values:
        return empty
    objective = OBJECTIVES[checked.file.spec.objective]
    if len(checked.seeds) == 1:
        return [objective.shown(outcome.mean)]
    low, high = mean_interval(outcome.values)
    return [objective.shown(outcome.mean), f"{objective.shown(low)} to {objective.shown(high)}"]


def score_text(checked: CheckedSweep, outcome: Outcome) -> str:
    """Return a point's score as a sentence has it, with its interval over seeds where it has several."""
    objective = OBJECTIVES[checked.file.spec.objective]
    cells = _score_cells(checked, outcome)
    text = f"{objective.name} {cells[0]}"
    if len(cells) > 1:
        text += f" (95 % interval of the mean over {len(outcome.values)} seeds: {cells[1]})"
    return text


def summary_lines(checked: CheckedSweep, course: Course) -> list[tuple[str, str]]:
    """Return what a reader wants to know first, each with its name."""
    lines: list[tuple[str, str]] = []
    best = best_point(course)
    if best is not None and best.outcome is not None:
        lines.append(("best", f"{best.point.label}: {score_text(checked, best.outcome)}"))
        lines.append(
            ("", "chosen on the validation images: its score there is better than on others")
        )
    counts = {
        state: sum(each.state == state for each in course.points)
        for state in ("complete", "paused", "failed", "refused", "training")
    }
    named = [f"{count} {state}" for state, count in counts.items() if count]
    left = checked.num_points - len(course.points)
    named += [f"{left} not begun"] if left else []
    return [*lines, ("points", ", ".join(named))]


def best_point(course: Course) -> Progress | None:
    """Return the best point that is trained to the end; None: there is none yet."""
    first = next(iter(course.ranked()), None)
    if first is None or first.state != "complete" or first.outcome is None:
        return None
    return first if math.isfinite(first.outcome.mean) else None
