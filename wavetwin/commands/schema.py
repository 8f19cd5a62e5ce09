"""`wavetwin schema`: print the JSON Schema of specs, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the schema that this wavetwin ships."""
    del options
    from wavetwin.compiler.validate.json_schema import shipped_schema

    say(shipped_schema())
    return FINE
