"""`wavetwin run`: build one spec, train it and evaluate it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_build_options, add_specs
from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import complain

if TYPE_CHECKING:
    import argparse

SHARED_VALUES = (
    "--device",
    "--data-root",
    "--runs",
    "--workers",
    "--limit-batches",
    "--on-bad-image",
    "--format",
)
"""Options with a value that evaluate.py takes as train.py does."""
SHARED_SWITCHES = ("--allow-drift", "--allow-other-data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_specs(parser, several=False)
    add_build_options(parser)
    parser.epilog = "What follows -- is passed on to train.py: wavetwin run SPEC -- --device cuda"
    parser.set_defaults(execute=execute, takes_script_arguments=True)


def execute(options: argparse.Namespace) -> int:
    """Build, then start train.py and evaluate.py; return the first exit code that is not 0.

    Raises:
        CompileError: the spec cannot be built.
    """
    from wavetwin.commands.build import build_and_print
    from wavetwin.commands.child import run_child

    code, built = build_and_print(options)
    if code != FINE:
        return code
    folder = built[0].folder
    extra: list[str] = options.script_arguments
    if options.format != "text":
        extra = ["--format", options.format, *extra]
    sys.stdout.flush()
    for script, arguments in (("train.py", extra), ("evaluate.py", _shared(extra))):
        code = run_child([sys.executable, str(folder / script), *arguments])
        if code != FINE:
            complain(f"{folder / script} ended with exit code {code}\n")
            return code
    return FINE


def _shared(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of train.py that evaluate.py takes, too."""
    shared: list[str] = []
    position = 0
    while position < len(arguments):
        name, _, value = arguments[position].partition("=")
        if name in SHARED_VALUES:
            shared.append(arguments[position])
            if not value and position + 1 < len(arguments):
                position += 1
                shared.append(arguments[position])
        elif name in SHARED_SWITCHES:
            shared.append(name)
        position += 1
    return shared
