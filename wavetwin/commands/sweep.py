"""`wavetwin sweep`: check a sweep and train its members, or show how they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_build_options, positive
from wavetwin.commands.output import DIFFERS, FINE, USER_FAULT, project_of, report
from wavetwin.diagnostics.terminal import complain, say
from wavetwin.sweep.engines import ENGINES

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.compiler.sweep.members import CheckedSweep
    from wavetwin.sweep.members import Members

_SHOW = "show"
_OWN = {
    "--limit-batches": "a run of a few batches is a trial, and no result; shorten the base, or a copy of it",
    "--new": "a member has one run",
    "--preflight": "`train.py --preflight` of one member does it",
    "--runs": "it is an option of the sweep itself, before the --",
    "--seeds": "`seeds` of the sweep says them",
    "--until-epoch": "the scheduler says where a member pauses",
}
"""Options of train.py that a sweep does not pass on, and why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "words", metavar="FILE", nargs="+", help="a sweep's file; `show FILE`: its results"
    )
    parser.add_argument("--project", metavar="DIR", help="the project's root folder")
    parser.add_argument("--strict", action="store_true", help="warnings fail the command")
    parser.add_argument("--html", metavar="FILE", help="of show: write a page with pictures, too")
    parser.add_argument(
        "--check", action="store_true", help="check and list the members; train nothing"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="as --check, and time a training step, and estimate time and disk",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="members at once; default: one for each GPU, or as many as the cores have threads for",
    )
    parser.add_argument(
        "--engine",
        choices=tuple(ENGINES),
        default=next(iter(ENGINES)),
        help="what trains the members; the same members, decisions and table with each: "
        + "; ".join(f"{each.name}: {each.text}" for each in ENGINES.values()),
    )
    parser.add_argument("--address", metavar="HOST:PORT", help="of ray: a cluster that is there")
    parser.add_argument(
        "--retry",
        action="store_true",
        help="try what failed before again; the rest goes on as always",
    )
    parser.add_argument(
        "--runs", metavar="DIR", help="where runs are kept; default: the project's runs/"
    )
    add_build_options(parser)
    parser.epilog = "What follows -- is passed on to train.py of every member: wavetwin sweep FILE -- --device cpu"
    parser.set_defaults(execute=execute, takes_script_arguments=True, overrides=[])


def execute(options: argparse.Namespace) -> int:
    """Compile every point, and train the members; or list them, or show how they did.

    Raises:
        CompileError: with everything that is wrong; nothing was started.
        RunError: a member could not be trained.
    """
    from pathlib import Path

    from wavetwin.compiler.sweep.members import check_sweep

    *action, file = options.words
    if action not in ([], [_SHOW]):
        complain(
            f"wavetwin sweep: FILE or {_SHOW} FILE is needed, not {' '.join(options.words)!r}\n"
        )
        return USER_FAULT
    if options.address is not None and not ENGINES[options.engine].takes_address:
        complain(f"wavetwin sweep: --engine {options.engine} takes no --address\n")
        return USER_FAULT
    if options.html is not None and not action:
        complain(f"wavetwin sweep: --html belongs to `sweep {_SHOW} FILE`\n")
        return USER_FAULT
    _refuse_arguments(options.script_arguments)
    checked = check_sweep(Path(file), project_of(options))
    wanted = bool(checked.warnings) or options.format != "text"
    code = report(options, checked.warnings) if wanted else FINE
    if code != FINE:
        return code
    runs = checked.file.project / "runs" if options.runs is None else Path(options.runs).absolute()
    if action:
        return _show(options, checked, runs)
    if options.check or options.dry_run:
        return _list(options, checked)
    return _train(options, checked, runs)


def _list(options: argparse.Namespace, checked: CheckedSweep) -> int:
    from wavetwin.runtime.process.packages import require
    from wavetwin.sweep.estimate import time_steps
    from wavetwin.sweep.member_table import member_table

    if options.dry_run:
        require("torch", "timing a training step")
    device = _device(options.script_arguments)
    costs = time_steps(checked.points, device or "auto") if options.dry_run else None
    _answer(options, member_table(checked, costs, len(_slots(options, checked))))
    return FINE


def _show(options: argparse.Namespace, checked: CheckedSweep, runs: Path) -> int:
    from pathlib import Path

    from wavetwin.files.atomic import write_file
    from wavetwin.sweep.page import sweep_page
    from wavetwin.sweep.result_table import result_table
    from wavetwin.sweep.winner import course_so_far

    course = course_so_far(checked, runs)
    _answer(options, result_table(checked, course))
    if options.html is not None:
        write_file(Path(options.html), sweep_page(checked, course))
    return FINE


def _train(options: argparse.Namespace, checked: CheckedSweep, runs: Path) -> int:
    from dataclasses import replace

    from wavetwin.commands.build import build_options
    from wavetwin.runtime.process.packages import require
    from wavetwin.sweep.drive import Driver
    from wavetwin.sweep.engines import EngineOptions
    from wavetwin.sweep.folder import hold_sweep, sweep_folder
    from wavetwin.sweep.members import Members
    from wavetwin.sweep.result_table import result_table

    require("torch", "training")
    folder = sweep_folder(runs, checked.file.name)
    with hold_sweep(folder):
        build = replace(build_options(options), project=checked.file.project)
        members = Members(checked, runs, build)
        if checked.are_all_known:
            members.prepare(checked.points)
        arguments = [*options.script_arguments, "--runs", str(runs)]
        kind = ENGINES[options.engine]
        engine = kind.make(
            EngineOptions(
                folder,
                arguments,
                _num_left(checked, members),
                _threads(checked),
                _device(arguments) == "cpu",
                options.jobs,
                _slots(options, checked),
                options.address,
            )
        )
        driver = Driver(
            checked,
            members,
            engine,
            lambda line: complain(f"{line}\n"),
            options.retry,
            kind.patience,
        )
        course, stopped_by = driver.run()
    _answer(options, result_table(checked, course))
    if stopped_by:
        complain(
            f"stopped by signal {stopped_by}; members have saved their states, and the same command "
            "goes on\n"
        )
        return 128 + stopped_by
    failed = sum(each.state == "failed" for each in course.points)
    if failed:
        complain(f"{failed} of {len(course.points)} points failed; --retry tries them again\n")
    refused = sum(each.state == "refused" for each in course.points)
    if refused:
        complain(f"{refused} of {len(course.points)} points do not compile\n")
    return DIFFERS if failed or refused else FINE


def _answer(options: argparse.Namespace, text: str) -> None:
    """Print what was asked for; a document of messages has standard output for itself."""
    (say if options.format == "text" else complain)(text)


def _refuse_arguments(arguments: Sequence[str]) -> None:
    """Refuse what would train other runs than those that the sweep reads.

    Raises:
        RunError: `bad-argument`.
    """
    from wavetwin.runtime.process.errors import RunError

    for each in arguments:
        reason = _OWN.get(each.partition("=")[0])
        if reason is not None:
            raise RunError("bad-argument", f"is not for members of a sweep: {reason}", subject=each)
    device = _device(arguments)
    kind, colon, number = (device or "").partition(":")
    if colon:
        raise RunError(
            "bad-argument",
            f"is not for members of a sweep, which see one GPU each: {device}",
            f"CUDA_VISIBLE_DEVICES={number} wavetwin sweep FILE -- --device {kind}",
            subject="--device",
        )


def _num_left(checked: CheckedSweep, members: Members) -> int:
    """Return how many members are not trained to their end, or may come to be asked for."""
    from wavetwin.ir.sweeps.objectives import OBJECTIVES
    from wavetwin.sweep.results import Results

    if not checked.are_all_known:
        return checked.num_points * len(checked.seeds)
    results = Results(OBJECTIVES[checked.file.spec.objective])
    found = [member for point in checked.points for member in members.of(point)]
    return sum(not results.of(member).is_finished for member in found)


def _threads(checked: CheckedSweep) -> int:
    """Return the threads that a member may have."""
    return max(each.plan.threads for each in checked.points)


def _slots(options: argparse.Namespace, checked: CheckedSweep) -> tuple[dict[str, str], ...]:
    """Return the environment of each member that is trained at once."""
    import os

    from wavetwin.sweep.machine import VISIBLE, divide_machine

    environment = dict(os.environ)
    if _device(options.script_arguments) == "cpu":
        environment[VISIBLE] = ""
    return tuple(
        dict(each) for each in divide_machine(_threads(checked), options.jobs, environment)
    )


def _device(arguments: Sequence[str]) -> str | None:
    """Return the device that train.py is told to use; None: it chooses."""
    for position, each in enumerate(arguments):
        name, equals, value = each.partition("=")
        if name == "--device":
            return value if equals else next(iter(arguments[position + 1 :]), None)
    return None
