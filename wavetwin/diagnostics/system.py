"""Refuse a system that wavetwin does not run on, before an import of it fails.

Locks are `fcntl`'s, and runs are stopped and resumed by POSIX signals: Windows has neither.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavetwin.diagnostics import Diagnostic

__all__ = ["check_system", "end_on_unsupported_system", "unsupported_system"]


def unsupported_system() -> Diagnostic | None:
    """Return that wavetwin does not run on this system; None where it does."""
    if sys.platform != "win32":
        return None
    from wavetwin.diagnostics import Diagnostic

    return Diagnostic(
        "unsupported-system",
        "wavetwin does not run on Windows, which lacks POSIX's locks and signals",
        help="run it in WSL, the Windows Subsystem for Linux",
    )


def check_system() -> None:
    """Refuse to go on where `unsupported_system` says so.

    Raises:
        CompileError: `unsupported-system`.
    """
    fault = unsupported_system()
    if fault is not None:
        from wavetwin.diagnostics import CompileError

        raise CompileError([fault])


def end_on_unsupported_system() -> None:
    """End a script with exit code 2 where `unsupported_system` says so."""
    fault = unsupported_system()
    if fault is not None:
        from wavetwin.diagnostics.output import show_diagnostics

        show_diagnostics([fault], "text")
        raise SystemExit(2)
