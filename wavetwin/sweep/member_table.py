"""Write the table of a sweep's members: what varies, what each costs, and what all take together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.text_table import align
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.ir.sweeps.searches import SEARCHES
from wavetwin.sweep.estimate import StepCost, epochs_of, expected_epochs

__all__ = ["duration", "member_table", "size_text"]

Costs = Mapping[str, StepCost | None]


def member_table(checked: CheckedSweep, costs: Costs | None = None, jobs: int = 1) -> str:
    """Return the table, and below it what all members take.

    Args:
        checked: the sweep.
        costs: of a step of each point; None: nothing was timed.
        jobs: members that are trained at once.
    """
    rows = [("point", "of the base", "parameters", "MACs", "epochs", *_cost_heads(costs))]
    rows += [
        (
            str(number),
            each.label,
            f"{each.graph.parameters.trainable:,}",
            f"{each.graph.macs:,}",
            str(each.plan.epochs),
            *_cost_cells(each, costs),
        )
        for number, each in enumerate(checked.points, 1)
    ]
    right = (0, *range(2, len(rows[0])))
    lines = [_head(checked), "", *align(rows, right=right), "", *_totals(checked, costs, jobs)]
    return "".join(f"{line}\n" for line in lines)


def _head(checked: CheckedSweep) -> str:
    spec = checked.file.spec
    search, scheduler = SEARCHES[spec.search], SCHEDULERS[spec.scheduler]
    points = plural(checked.num_points, "point")
    seeds = plural(len(checked.seeds), "seed")
    members = plural(checked.num_points * len(checked.seeds), "member")
    text = f"{checked.file.name}: {points} of {spec.base} by {spec.objective}, {seeds}: {members}"
    text += f"\nsearch {search.name}: {search.text}"
    text += f"\nscheduler {scheduler.name}: {scheduler.text}"
    if scheduler.pauses:
        lengths = {each.plan.epochs for each in checked.points}
        budget = spec.budget
        stones = scheduler.milestones(max(lengths), budget.grace_epochs, budget.reduction)
        whose = " of the longest points" if len(lengths) > 1 else ""
        text += f"; milestones{whose} after {', '.join(map(str, stones))} epochs"
    if not checked.are_all_known:
        text += f"\nthe table has {len(checked.points)} points that were checked in place of all"
    if checked.repeated:
        same = plural(checked.repeated, "point")
        text += f"\n{same} left out: the same training as an earlier one"
    return text


def _totals(checked: CheckedSweep, costs: Costs | None, jobs: int) -> list[str]:
    total = epochs_of(checked)
    expected = expected_epochs(checked)
    lines = [f"{'epochs':10}{total:,} where every member is trained to the end"]
    if expected is not None:
        lines.append(
            f"{'':10}{expected:,} where exactly one in {checked.file.spec.budget.reduction} goes on"
        )
    if costs is None:
        return lines
    known = [
        (each, cost) for each in checked.points if (cost := costs[each.training_digest]) is not None
    ]
    seconds = [cost.run_seconds(each) for each, cost in known]
    if len(known) < len(checked.points) or any(each is None for each in seconds):
        return [
            *lines,
            f"{'time':10}not known: of own layers, or of data that only the disk counts",
        ]
    share = checked.num_points * len(checked.seeds) / len(known)
    whole = sum(each for each in seconds if each is not None) * share / jobs
    at_once = "one member at a time" if jobs == 1 else f"{jobs} members at a time"
    lines.append(f"{'time':10}{duration(whole)} of training steps to the end, {at_once}")
    if expected is not None:
        lines.append(f"{'':10}{duration(whole * expected / total)} where exactly the share goes on")
    size = sum(cost.run_bytes(each) for each, cost in known) * share
    lines.append(f"{'disk':10}{size_text(size)} of states, best weights and snapshots")
    return lines


def _cost_heads(costs: Costs | None) -> tuple[str, ...]:
    return () if costs is None else ("step", "time", "disk")


def _cost_cells(point: CheckedPoint, costs: Costs | None) -> Sequence[str]:
    if costs is None:
        return ()
    cost = costs[point.training_digest]
    if cost is None:
        return ("-", "-", "-")
    seconds = cost.run_seconds(point)
    return (
        f"{1000 * cost.seconds:.1f} ms",
        "-" if seconds is None else duration(seconds),
        size_text(cost.run_bytes(point)),
    )


def duration(seconds: float) -> str:
    """Return a time with two units at most."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def size_text(size: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
