"""Give runs the labels that a reader wants them to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wavetwin.explain.report.runs import Run
from wavetwin.runtime.process.errors import RunError

__all__ = ["label_runs"]

_OPTION = "--label"


def label_runs(runs: Sequence[Run], labels: Sequence[str]) -> list[Run]:
    """Return the runs with labels, in their order.

    Args:
        runs: those that are shown.
        labels: `ID=NAME` each: of a run its folder's name, `experiment/folder`, or the experiment's name
            where that is one run.

    Raises:
        RunError: an ID means no run or several, or two runs would have one label.
    """
    named = list(runs)
    for text in labels:
        run_id, equals, name = text.partition("=")
        name = " ".join(name.split())
        if not equals or not name:
            raise RunError("bad-argument", f"is not ID=NAME: {text!r}", subject=_OPTION)
        found = [number for number, run in enumerate(runs) if run_id in _ids(run)]
        if not found:
            known = ", ".join(f"{run.name}/{run.manifest['run']}" for run in runs)
            remedy = f"there are {known}"
            raise RunError("unknown-name", f"no run is {run_id!r}", remedy, subject=_OPTION)
        if len(found) > 1:
            remedy = "name one: " + ", ".join(runs[number].manifest["run"] for number in found)
            headline = f"{len(found)} runs are {run_id!r}"
            raise RunError("name-ambiguous", headline, remedy, subject=_OPTION)
        named[found[0]] = replace(runs[found[0]], given_label=name)
    if labels:
        _refuse_alike(named)
    return named


def _ids(run: Run) -> tuple[str, ...]:
    folder = str(run.manifest["run"])
    return folder, f"{run.name}/{folder}", run.name


def _refuse_alike(runs: Sequence[Run]) -> None:
    seen: set[str] = set()
    for run in runs:
        if run.label in seen:
            headline = f"two runs are called {run.label!r}"
            raise RunError("bad-argument", headline, "give each its own", subject=_OPTION)
        seen.add(run.label)
