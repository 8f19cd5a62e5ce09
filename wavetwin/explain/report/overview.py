"""Make a report's first tables: a row a run, means over seeds, and where each run is from."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from wavetwin.diagnostics.listing import list_some
from wavetwin.explain.report.baseline import Baseline, baseline_figures
from wavetwin.explain.report.figures import Figure, headline_figures, in_form
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.runs import Run
from wavetwin.provenance.edits import EDIT_DIFFERENCE, edit_mark
from wavetwin.runtime.training.run_names import trial_mark

__all__ = [
    "curve_of",
    "marks_of",
    "other_definitions",
    "overview",
    "own_metrics",
    "run_figures",
    "seeds_section",
]

_NOT_IN_PLAN = ("seed", "streams", "digest", "training_digest", "evaluation")
"""What runs of one training with other seeds differ in."""


def overview(runs: Sequence[Run], baseline: Baseline | None) -> Section:
    """Return the table of runs, a row each, and where each is from."""
    columns: dict[str, list[str]] = {}
    for number, run in enumerate(runs):
        for figure in run_figures(run, baseline):
            columns.setdefault(figure.name, [""] * len(runs))[number] = str(figure)
    fixed = [_fixed_cells(run) for run in runs]
    header = ["run", *columns, *fixed[0]] if runs else ["run"]
    rows = [
        [run.label, *(cells[number] for cells in columns.values()), *fixed[number].values()]
        for number, run in enumerate(runs)
    ]
    remarks = [*map(_origin, runs), *own_metrics(runs), *other_definitions(runs)]
    return Section("Runs", header, rows, remarks, level=1)


def own_metrics(runs: Sequence[Run]) -> list[str]:
    """Return what each metric of a project's own is, where all runs that have it agree."""
    return [
        f"{name}: {next(iter(first))}; one number of all images, without an interval"
        for name, first in _definitions(runs).items()
        if len(first) == 1
    ]


def other_definitions(runs: Sequence[Run]) -> list[str]:
    """Return a remark for each metric of a project's own that runs compute by other code."""
    return [
        f"{name} is of other code, or of other arguments, in each of {list_some(first.values())}: do not "
        "compare them"
        for name, first in _definitions(runs).items()
        if len(first) > 1
    ]


def _definitions(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Return the definitions of each metric of a project's own, each with the first run that has it."""
    found: dict[str, dict[str, str]] = {}
    for run in runs:
        for figure in run_figures(run, None):
            if figure.definition:
                found.setdefault(figure.name, {}).setdefault(figure.definition, run.label)
    return found


def seeds_section(runs: Sequence[Run], baseline: Baseline | None) -> Section | None:
    """Return mean and standard deviation over seeds; None where no training has several.

    A seed counts once: of several runs of it the last one.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.plan is None:
            continue
        document = run.plan.to_json()
        plan = {key: value for key, value in document.items() if key not in _NOT_IN_PLAN}
        groups.setdefault(json.dumps([run.trial, plan], sort_keys=True), []).append(run)
    chosen = [_one_of_each_seed(group) for group in groups.values()]
    several = [(group, remarks) for group, remarks in chosen if len(group) > 1]
    if not several:
        return None
    columns: dict[str, list[str]] = {}
    names: list[list[str]] = []
    for number, (group, _) in enumerate(several):
        names.append([group[0].name, " ".join(str(run.seed) for run in group)])
        tables = [{figure.name: figure for figure in run_figures(run, baseline)} for run in group]
        for name in tables[0]:
            found = [table[name] for table in tables if name in table]
            if len(found) == len(group) and len({each.definition for each in found}) == 1:
                cell = _mean_and_spread(found)
                columns.setdefault(name, [""] * len(several))[number] = cell
    rows = [
        [*names[number], *(cells[number] for cells in columns.values())]
        for number in range(len(several))
    ]
    remarks = ["mean ± standard deviation (of a sample) over the seeds; no interval over images"]
    remarks += [remark for _, of_group in several for remark in of_group]
    return Section("Means over seeds", ["experiment", "seeds", *columns], rows, remarks)


def _one_of_each_seed(group: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return the last run of each seed, by seed, and remarks on those that do not count.

    A run that is not finished counts only where its seed has no finished one.
    """
    by_seed: dict[int, list[Run]] = {}
    for run in group:
        by_seed.setdefault(run.manifest["seed"], []).append(run)
    chosen: list[Run] = []
    remarks: list[str] = []
    for seed in sorted(by_seed):
        *others, last = sorted(by_seed[seed], key=_order_of_runs)
        chosen.append(last)
        if others:
            left_out = ", ".join(run.label for run in others)
            remarks.append(f"{last.name}, seed {seed}: {last.label} counts; left out: {left_out}")
    return chosen, remarks


def _order_of_runs(run: Run) -> tuple[bool, str]:
    sessions = run.manifest.get("lives") or [{}]
    return run.manifest["status"] == "finished", sessions[0].get("started") or ""


def run_figures(run: Run, baseline: Baseline | None) -> list[Figure]:
    """Return the figures of a run that its row shows, in the evaluation suite's order."""
    figures = [figure for record in run.scores for figure in headline_figures(record)]
    return figures + (baseline_figures(run, baseline) if baseline is not None else [])


def curve_of(run: Run, part: str, name: str) -> list[tuple[float, float]]:
    """Return the (epoch, value) pairs of a run's records."""
    return [
        (float(line["epoch"]), float(line[part][name]))
        for line in run.epochs
        if line[part] is not None
    ]


def _mean_and_spread(figures: Sequence[Figure]) -> str:
    values, form = [figure.value for figure in figures], figures[0].form
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    return f"{in_form(mean, form)} ± {in_form(spread, form).rstrip('%')}"


def _fixed_cells(run: Run) -> dict[str, str]:
    manifest = run.manifest
    if run.plan is None:
        return dict.fromkeys(("parameters", "MACs", "epochs", "training time"), "")
    return {
        "parameters": f"{sum(manifest['parameters'].values()):,}",
        "MACs": f"{manifest['macs']:,}",
        "epochs": str(run.epochs[-1]["epoch"]) if run.epochs else "0",
        "training time": _duration(manifest["training_seconds"]),
    }


def _origin(run: Run) -> str:
    """Return where a run is from and what marks it."""
    manifest = run.manifest
    parts = [f"{run.label}: commit {manifest['commit'] or 'none'}", f"digest {manifest['digest']}"]
    return "; ".join([*parts, *marks_of(run)])


def marks_of(run: Run) -> list[str]:
    """Return what sets a run apart from a clean, whole one; empty for that."""
    manifest = run.manifest
    parts: list[str] = []
    if trial_mark(manifest):
        parts.append(trial_mark(manifest))
    if edit_mark(manifest):
        parts.append(f"{edit_mark(manifest)} ({EDIT_DIFFERENCE} of the run has the change)")
    if manifest["dirty"]:
        parts.append("built from uncommitted changes")
    drift = sorted(
        {*manifest["drift"], *(d for record in run.scores for d in record.get("drift", []))}
    )
    if drift:
        parts.append("modified after the build: " + ", ".join(drift))
    if manifest["status"] != "finished":
        parts.append(f"not finished ({manifest['status']})")
    if manifest.get("bad_images"):
        parts.append(f"{len(manifest['bad_images'])} damaged images left out of training")
    for marked, which in (
        ("some scores are of other weights than the last", _other_weights(run)),
        ("some scores are of a few batches only", _few_batches(run)),
        ("damaged images left out of some scores", _skipped(run)),
    ):
        if which:
            parts.append(f"{marked}: {which}")
    return parts


def _other_weights(run: Run) -> str:
    if run.plan is None:
        return ""
    last = run.epochs[-1]["epoch"] if run.epochs else 0
    found = {
        f"{record.get('checkpoint', 'last')} after epoch {record.get('epochs')}"
        for record in run.scores
        if record.get("epochs") not in (last, None) or record.get("checkpoint", "last") != "last"
    }
    return ", ".join(sorted(found))


def _few_batches(run: Run) -> str:
    limits = {record["limit_batches"] for record in run.scores if record.get("limit_batches")}
    return ", ".join(f"--limit-batches {limit}" for limit in sorted(limits))


def _skipped(run: Run) -> str:
    return ", ".join(
        f"{record['skipped']} of {record['entry']['mode'].replace('_', ' ')}"
        for record in run.scores
        if record.get("skipped")
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
