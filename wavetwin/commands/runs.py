"""`wavetwin runs`: what each action answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.compiler.parse.project import find_project
from wavetwin.diagnostics.terminal import as_json
from wavetwin.explain.runs.index import RunIndex, open_index
from wavetwin.explain.runs.listing import (
    compare_document,
    compare_table,
    list_table,
    run_document,
    show_text,
)
from wavetwin.explain.runs.select import Filters, find_run, parse_condition, select_runs
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.run_names import trial_mark

if TYPE_CHECKING:
    import argparse

__all__ = ["Answer", "runs_command"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes to standard output, and what to standard error."""

    text: str
    messages: str


def runs_command(options: argparse.Namespace) -> Answer:
    """Answer `wavetwin runs list`, `show`, `compare` or `reindex`.

    Raises:
        RunError: there is no such run or folder, or a filter does not make sense.
    """
    runs = _runs_folder(options)
    if not runs.is_dir():
        if options.runs is None and options.command in ("runs list", "runs reindex"):
            empty = "[]\n" if getattr(options, "json", False) else ""
            return Answer(empty, f"no runs yet: there is no {runs}\n")
        raise RunError(f"there is no folder {runs}", "name the folder of runs with --runs")
    with open_index(runs, anew=options.command == "runs reindex") as (index, messages):
        match options.command:
            case "runs list":
                text = _list(index, options, messages)
            case "runs show":
                run = find_run(index, options.run, runs)
                document = run_document(run)
                text = as_json(document) if options.json else show_text(run, runs / run.path)
            case "runs compare":
                text = _compare(index, options, runs, messages)
            case _:
                text = f"{len(index.paths())} runs indexed in {runs}\n"
        return Answer(text, "".join(messages))


def _runs_folder(options: argparse.Namespace) -> Path:
    if options.runs is not None:
        return Path(options.runs)
    project = Path.cwd() if options.project is None else Path(options.project)
    root = find_project(project) if options.project is None else project
    return root / "runs"


def _list(index: RunIndex, options: argparse.Namespace, messages: list[str]) -> str:
    filters = Filters(
        options.tag,
        options.digest,
        options.name,
        options.status,
        options.where,
        options.score,
        options.sort,
    )
    runs = select_runs(index, filters)
    if options.json:
        return as_json([run_document(run) for run in runs])
    if not runs:
        messages.append("no run fits\n" if index.paths() else "no runs yet\n")
        return ""
    shown = [parse_condition(text).name for text in options.score]
    key = (options.sort or "name").removeprefix("-")
    if key not in ("name", "started", "seed", "epochs", "status"):
        shown.append(key)
    return list_table(runs, shown)


def _compare(index: RunIndex, options: argparse.Namespace, runs: Path, messages: list[str]) -> str:
    if len(options.run) < 2:
        raise RunError("compare takes two runs or more", "`wavetwin runs show RUN` shows one")
    skipped = [text for text in options.run if _is_no_run(Path(text))]
    if len(options.run) - len(skipped) >= 2:
        messages += [f"left out: {text} is no run\n" for text in skipped]
    else:
        skipped = []
    found = [find_run(index, text, runs) for text in options.run if text not in skipped]
    trials = [] if options.trials else [run for run in found if run.limit_batches is not None]
    shown = [run for run in found if run not in trials]
    left_out = [f"{run.path}: {trial_mark({'limit_batches': run.limit_batches})}" for run in trials]
    if len(shown) < 2:
        raise RunError(
            f"fewer than two runs are left to compare: left out is {'; '.join(left_out)}",
            "compare whole runs, or take trials in with --trials",
        )
    if options.json:
        document = compare_document(shown)
        return as_json(document | {"left_out": left_out} if left_out else document)
    lines = [f"left out: {label}; --trials takes it in\n" for label in left_out]
    return compare_table(shown) + ("\n" if lines else "") + "".join(lines)


def _is_no_run(path: Path) -> bool:
    """Whether something lies there that has no manifest of a run, as a pattern of a shell finds."""
    return path.exists() and not (path / "manifest.json").exists()
