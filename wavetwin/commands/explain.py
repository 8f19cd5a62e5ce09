"""`wavetwin explain`: say what a diagnostic's code means, with cause, cure and a number of warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("codes", nargs="+", metavar="CODE", help="as in a message: static-gain")
    parser.set_defaults(execute=execute, strict=False)


def execute(options: argparse.Namespace) -> int:
    """Print what each code means.

    Raises:
        DiagnosticError: there is no such code.
    """
    from wavetwin.compiler.parse.suggest import suggest
    from wavetwin.diagnostics import CompileError, Diagnostic
    from wavetwin.diagnostics.codes import DESCRIPTIONS
    from wavetwin.diagnostics.explanations import explanation_text

    unknown = [code for code in options.codes if code not in DESCRIPTIONS]
    if unknown:
        raise CompileError(
            [
                Diagnostic(
                    "unknown-name",
                    f"no message has the code {code!r}",
                    help=suggest(code, list(DESCRIPTIONS))
                    or "a message has its code between two colons: `static-gain`",
                )
                for code in unknown
            ]
        )
    say("\n".join(map(explanation_text, options.codes)))
    return FINE
