"""Show diagnostics and give exit codes, alike for every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.diagnostics.output import DOCUMENTS, show_diagnostics

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.compiler.compiled import Compiled
    from wavetwin.diagnostics import Diagnostic

FINE, DIFFERS, USER_FAULT, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130


def report(options: argparse.Namespace, diagnostics: Sequence[Diagnostic]) -> int:
    """Write diagnostics in the form that was asked for; return the exit code that they ask for."""
    show_diagnostics(diagnostics, options.format)
    return _exit_code(options, diagnostics)


class Findings:
    """What a command finds that starts scripts: shown as it comes, or at its end as one document."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._kept: list[Diagnostic] | None = [] if options.format in DOCUMENTS else None

    def add(self, diagnostics: Sequence[Diagnostic]) -> int:
        """Take diagnostics; return the exit code that they ask for."""
        if self._kept is None:
            return report(self._options, diagnostics) if diagnostics else FINE
        self._kept += diagnostics
        return _exit_code(self._options, diagnostics)

    def close(self) -> None:
        """Write the document."""
        if self._kept is not None:
            show_diagnostics(self._kept, self._options.format)


def _exit_code(options: argparse.Namespace, diagnostics: Sequence[Diagnostic]) -> int:
    failing = ("error", "warning") if options.strict else ("error",)
    return USER_FAULT if any(d.severity in failing for d in diagnostics) else FINE


def project_of(options: argparse.Namespace) -> Path | None:
    """Return the project's root that was named, or None: it is found from each spec."""
    from pathlib import Path

    return None if options.project is None else Path(options.project).absolute()


def compile_one(
    options: argparse.Namespace, spec: str, *, optimise: bool = True, section: str | None = None
) -> tuple[Compiled, int]:
    """Compile the spec that a command is about and report its warnings.

    Args:
        options: of the command.
        spec: a file, or a starter's name.
        optimise: whether the passes run.
        section: report only warnings about values of this section; None: all.

    Returns:
        The compiled spec and the exit code that its warnings ask for.

    Raises:
        CompileError: the spec is at fault.
    """
    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.compiler.parse.parents import spec_path

    path = spec_path(spec)
    compiled = compile_spec(path, options.overrides, project_of(options), optimise=optimise)
    warnings = [each for each in compiled.warnings if section is None or each.is_within(section)]
    return compiled, report(options, warnings) if warnings else FINE


def path_or_none(text: str | None) -> Path | None:
    """Return an optional argument as a path."""
    from pathlib import Path

    return None if text is None else Path(text)
