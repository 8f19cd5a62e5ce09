"""`wavetwin check`: report every fault of specs at its location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_specs
from wavetwin.commands.output import FINE, project_of, report
from wavetwin.diagnostics.listing import plural
from wavetwin.diagnostics.terminal import complain

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_specs(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Check the specs; say how many there are where none is at fault.

    Raises:
        CompileError: a path means nothing.
    """
    from wavetwin.commands.specs import check_specs
    from wavetwin.compiler.parse.parents import spec_path

    paths = [spec_path(spec) for spec in options.specs]
    checked = check_specs(paths, options.overrides, project_of(options))
    wanted = bool(checked.diagnostics) or options.format != "text"
    code = report(options, checked.diagnostics) if wanted else FINE
    if options.format == "text" and code == FINE:
        warnings = len(checked.diagnostics)
        found = f"no error, {plural(warnings, 'warning')}" if warnings else "no fault found"
        complain(f"{plural(checked.num_specs, 'spec')} checked, {found}\n")
    return code
