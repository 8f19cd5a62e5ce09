"""`wavetwin schema`: print the JSON Schema of specs, or that of sweeps, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "language",
        nargs="?",
        choices=("spec", "sweep"),
        default="spec",
        metavar="spec|sweep",
        help="of which documents; default: spec",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the schema, made from the models."""
    from wavetwin.compiler.sweep.json_schema import sweep_schema_text
    from wavetwin.compiler.validate.json_schema import schema_text

    # Made anew: the shell has emptied the shipped file where it is what the output goes to.
    say({"spec": schema_text, "sweep": sweep_schema_text}[options.language]())
    return FINE
