"""Show diagnostics in the form that was asked for, for commands and generated scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.diagnostics.terminal import complain, say

if TYPE_CHECKING:
    from wavetwin.diagnostics import Diagnostic

__all__ = ["DOCUMENTS", "FORMATS", "show_diagnostics", "uses_colour"]

FORMATS = ("text", "json", "github", "sarif")
DOCUMENTS = ("json", "sarif")
"""The forms that are one document, however much there is to say."""


def show_diagnostics(diagnostics: Sequence[Diagnostic], form: str) -> None:
    """Write diagnostics: text to standard error, what programs read to standard output.

    Args:
        diagnostics: one at least.
        form: one of `FORMATS`.
    """
    from wavetwin import diagnostics as rendering

    match form:
        case "json":
            say(rendering.render_json(diagnostics))
        case "sarif":
            # The package is imported; asking for it here would be an import upwards.
            version = sys.modules["wavetwin"].__version__
            say(rendering.render_sarif(diagnostics, version))
        case "github":
            say(rendering.render_github(diagnostics))
        case _:
            colour = uses_colour(sys.stderr)
            complain(rendering.render_text(diagnostics, colour=colour), colours=colour)


def uses_colour(stream: object) -> bool:
    """Whether what goes to this stream is coloured: a terminal, and NO_COLOR is not set."""
    is_terminal = getattr(stream, "isatty", lambda: False)
    return is_terminal() and "NO_COLOR" not in os.environ
