"""`wavetwin sweep`: check a sweep, and list its members with what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import USER_FAULT, project_of, report
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("sweep", metavar="FILE", help="a sweep's file")
    parser.add_argument("--project", metavar="DIR", help="the project's root folder")
    parser.add_argument(
        "--dry-run", action="store_true", help="time a training step, and estimate time and disk"
    )
    parser.add_argument("--strict", action="store_true", help="warnings fail the command")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Compile every point, and print the table of members.

    Raises:
        CompileError: with everything that is wrong.
    """
    from pathlib import Path

    from wavetwin.compiler.sweep.members import check_sweep
    from wavetwin.sweep.estimate import time_steps
    from wavetwin.sweep.member_table import member_table

    checked = check_sweep(Path(options.sweep), project_of(options))
    code = report(options, checked.warnings) if checked.warnings else 0
    if code == USER_FAULT:
        return code
    costs = time_steps(checked.points) if options.dry_run else None
    say(member_table(checked, costs))
    return code
