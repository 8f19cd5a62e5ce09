"""`wavetwin diff`: say what differs between experiments, and what it does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_overrides, add_trials
from wavetwin.commands.output import DIFFERS, FINE
from wavetwin.diagnostics.output import uses_colour
from wavetwin.diagnostics.terminal import complain, say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="specs, built folders, run folders, .safetensors files or checkpoint folders; of more "
        "than two a table",
    )
    parser.add_argument(
        "--at",
        metavar="COMMIT",
        action="append",
        default=[],
        help="compare one spec at this commit with the work tree; twice: two commits",
    )
    add_overrides(parser, "override a field of the specs; of one spec: compare it with and without")
    parser.add_argument(
        "--full", action="store_true", help="every field, layer, attribute and label"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--html", metavar="FILE", help="write a page that needs nothing else, too")
    parser.add_argument(
        "--values", action="store_true", help="compare the numbers of two weights files or runs"
    )
    add_trials(parser)
    parser.epilog = "Exit code: 0 the same, 1 different, 2 a source is at fault."
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Compare the sources.

    Raises:
        CompileError: a source means nothing, is damaged, or the options do not fit together.
    """
    from wavetwin.commands.diff_answer import diff_command

    colour = uses_colour(sys.stdout)
    answer = diff_command(options, colour)
    say(answer.text, colours=colour)
    complain(answer.messages)
    return FINE if answer.same else DIFFERS
