"""Show diagnostics and give exit codes, alike for every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.diagnostics.output import show_diagnostics

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.compiler.compiled import Compiled
    from wavetwin.diagnostics import Diagnostic

FINE, DIFFERS, USER_FAULT, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130


def report(options: argparse.Namespace, diagnostics: Sequence[Diagnostic]) -> int:
    """Write diagnostics in the form that was asked for; return the exit code that they ask for."""
    show_diagnostics(diagnostics, options.format)
    failing = ("error", "warning") if options.strict else ("error",)
    return USER_FAULT if any(d.severity in failing for d in diagnostics) else FINE


def project_of(options: argparse.Namespace) -> Path | None:
    """Return the project's root that was named, or None: it is found from each spec."""
    from pathlib import Path

    return None if options.project is None else Path(options.project).absolute()


def compile_one(
    options: argparse.Namespace, spec: str, *, optimise: bool = True
) -> tuple[Compiled, int]:
    """Compile the spec that a command is about and report its warnings.

    Returns:
        The compiled spec and the exit code that its warnings ask for.

    Raises:
        CompileError: the spec is at fault.
    """
    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.compiler.parse.parents import spec_path

    path = spec_path(spec)
    compiled = compile_spec(path, options.overrides, project_of(options), optimise=optimise)
    return compiled, report(options, compiled.warnings) if compiled.warnings else FINE


def path_or_none(text: str | None) -> Path | None:
    """Return an optional argument as a path."""
    from pathlib import Path

    return None if text is None else Path(text)
