"""`wavetwin runs`: list, show and compare runs, by an index of their folders."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_format, add_trials
from wavetwin.commands.output import FINE
from wavetwin.compiler.parse.project import find_project
from wavetwin.diagnostics.listing import list_some, some_lines
from wavetwin.diagnostics.terminal import as_json, complain, say
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

Opened = tuple[RunIndex, list[str]]
"""An index of runs, and what opening it has to say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION")

    def action(
        name: str, text: str, execute: Callable[[argparse.Namespace], int], *, prints_json: bool
    ) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text)
        added.add_argument("--project", metavar="DIR", help="the project's root folder")
        added.add_argument("--runs", metavar="DIR", help="default: runs/ of the project")
        if prints_json:
            added.add_argument("--json", action="store_true", help="JSON on standard output")
        add_format(added)
        added.set_defaults(execute=execute)
        return added

    listing = action("list", "List the runs that fit every filter.", _list, prints_json=True)
    listing.add_argument("--tag", action="append", default=[], help="of its spec; may be repeated")
    listing.add_argument(
        "--digest", metavar="PREFIX", help="of any of the three: complete, training, model"
    )
    listing.add_argument("--name", metavar="GLOB", help="of the experiment, such as 'R18*C'")
    listing.add_argument("--status", help="finished, running, stopped, failed or new")
    listing.add_argument(
        "--where",
        metavar="CONDITION",
        action="append",
        default=[],
        help="a field of the resolved spec: training.optimizer.lr=0.01, stem.wavelet.levels>=2",
    )
    listing.add_argument(
        "--score",
        metavar="CONDITION",
        action="append",
        default=[],
        help="a score: 'top1_error<0.05', 'ten_crops.top1_error<0.4', 'diagonal.flip_rate.1<0.1'",
    )
    listing.add_argument(
        "--sort",
        metavar="KEY",
        help="name, started, seed, epochs, status or a score; --sort=-KEY: descending",
    )
    showing = action(
        "show",
        "Show one run: what it is of, its sessions, its scores, its files.",
        _show,
        prints_json=True,
    )
    showing.add_argument("run", metavar="RUN", help="a run folder, a name, or how one begins")
    comparing = action(
        "compare",
        "Compare runs: spec fields that differ, scores side by side.",
        _compare,
        prints_json=True,
    )
    comparing.add_argument("run", metavar="RUN", nargs="+", help="as for show; two or more")
    add_trials(comparing)
    action("reindex", "Make the index anew from the run folders.", _reindex, prints_json=False)


def _list(options: argparse.Namespace) -> int:
    runs = _runs_folder(options)
    if not runs.is_dir() and options.runs is None:
        complain(f"no runs yet: there is no {runs}\n")
        say("[]\n" if options.json else "")
        return FINE
    with _opened(runs) as (index, messages):
        return _answer(_listing(index, options, messages), messages)


def _show(options: argparse.Namespace) -> int:
    runs = _runs_folder(options)
    with _opened(runs) as (index, messages):
        run = find_run(index, options.run, runs)
        text = as_json(run_document(run)) if options.json else show_text(run, runs / run.path)
        return _answer(text, messages)


def _compare(options: argparse.Namespace) -> int:
    runs = _runs_folder(options)
    with _opened(runs) as (index, messages):
        return _answer(_comparison(index, options, runs, messages), messages)


def _reindex(options: argparse.Namespace) -> int:
    runs = _runs_folder(options)
    if not runs.is_dir() and options.runs is None:
        complain(f"no runs yet: there is no {runs}\n")
        return FINE
    with _opened(runs, anew=True) as (index, messages):
        return _answer(f"{len(index.paths())} runs indexed in {runs}\n", messages)


def _opened(runs: Path, *, anew: bool = False) -> AbstractContextManager[Opened]:
    if not runs.is_dir():
        raise RunError(
            "run-not-found", f"there is no folder {runs}", "name the folder of runs with --runs"
        )
    return open_index(runs, anew=anew)


def _answer(text: str, messages: list[str]) -> int:
    complain("".join(f"{line}\n" for line in some_lines(map(str.rstrip, messages))))
    say(text)
    return FINE


def _runs_folder(options: argparse.Namespace) -> Path:
    if options.runs is not None:
        return Path(options.runs)
    project = Path.cwd() if options.project is None else Path(options.project)
    root = find_project(project) if options.project is None else project
    return root / "runs"


def _listing(index: RunIndex, options: argparse.Namespace, messages: list[str]) -> str:
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


def _comparison(
    index: RunIndex, options: argparse.Namespace, runs: Path, messages: list[str]
) -> str:
    if len(options.run) < 2:
        raise RunError(
            "nothing-to-compare",
            "compare takes two runs or more",
            "`wavetwin runs show RUN` shows one",
        )
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
            "nothing-to-compare",
            f"fewer than two runs are left to compare: left out is {list_some(left_out, '; ')}",
            "compare whole runs, or take trials in with --trials",
        )
    if options.json:
        document = compare_document(shown)
        return as_json(document | {"left_out": left_out} if left_out else document)
    lines = [f"left out: {label}; --trials takes it in\n" for label in some_lines(left_out)]
    return compare_table(shown) + ("\n" if lines else "") + "".join(lines)


def _is_no_run(path: Path) -> bool:
    """Return whether something lies there that has no manifest of a run, as a pattern of a shell finds."""
    return path.exists() and not (path / "manifest.json").exists()
