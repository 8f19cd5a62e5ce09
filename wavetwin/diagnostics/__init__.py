"""Say what is wrong, where, and what to do about it: diagnostics, their codes, and how they are shown.

A command that only says how it is called makes none: names are looked up when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavetwin.diagnostics.diagnostic import (
        CompileError,
        Diagnostic,
        DiagnosticError,
        Location,
        Origin,
        Severity,
        from_document,
        render_github,
        render_json,
        render_sarif,
        render_text,
    )

__all__ = [
    "CompileError",
    "Diagnostic",
    "DiagnosticError",
    "Location",
    "Origin",
    "Severity",
    "from_document",
    "render_github",
    "render_json",
    "render_sarif",
    "render_text",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.diagnostic"), name)
