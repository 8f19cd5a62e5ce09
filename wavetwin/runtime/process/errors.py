"""Report faults at run time that are not the program's, as diagnostics."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wavetwin.diagnostics import Diagnostic, DiagnosticError
from wavetwin.diagnostics.terminal import printable

ANOTHER_RUN = "or start another run with --new, which leaves this one as it is"
"""The end of a remedy where files of a run do not agree."""

_TOO_LITTLE_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM = (*_TOO_LITTLE_ROOM, errno.EROFS)


class RunError(DiagnosticError):
    """A run cannot start or go on; the script shows it and exits with 2.

    Args:
        code: one of `wavetwin.diagnostics.codes`.
        text: what is wrong, on one line: a sentence, whose subject is left out where it is given.
        remedy: what to do about it.
        subject: the file, folder or source that the sentence is about.
        notes: further lines, each with a label of its own.
    """

    def __init__(
        self,
        code: str,
        text: str,
        remedy: str | None = None,
        *,
        subject: Path | str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(code, text, remedy)
        about = None if subject is None else str(subject)
        self.code = code
        self.headline = text if about is None else f"{about} {text}"
        """The whole sentence."""
        self.remedy = remedy
        self.notes = tuple(notes)
        self.diagnostics = (Diagnostic(code, text, notes=self.notes, help=remedy, subject=about),)

    def __str__(self) -> str:
        # A name may have a line end, and so look like a message or a remedy of ours.
        remedy = () if self.remedy is None else (f"help: {self.remedy}",)
        return "\n  ".join(map(printable, (self.headline, *self.notes, *remedy)))


class PartsError(RunError):
    """Parts of a work failed, and none kept the others from their results.

    Args:
        errors: by the name of the part, in order; one at least.
    """

    def __init__(self, errors: Sequence[tuple[str, RunError]]) -> None:
        first = errors[0][1]
        headline = "; ".join(f"{part}: {error.headline}" for part, error in errors)
        super().__init__(first.code, headline, first.remedy)
        self.args = (errors,)
        self.diagnostics = tuple(
            replace(diagnostic, notes=(*diagnostic.notes, f"in: {part}"))
            for part, error in errors
            for diagnostic in error.diagnostics
        )
        """Those of each part, which is named in a note."""


def with_remedy(error: RunError, remedy: str) -> RunError:
    """Return the same fault with what is to be done about it here."""
    (fault,) = error.diagnostics
    return RunError(fault.code, fault.headline, remedy, subject=fault.subject, notes=fault.notes)


def is_full(error: BaseException | None) -> bool:
    """Return whether an error says that a disk is full, a quota used up, or a file as long as it may be."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def fault_code(error: BaseException | None) -> str | None:
    """Return the code of what ended a session, as its run keeps it; of a fault without one its type."""
    if isinstance(error, RunError):
        return error.code
    if isinstance(error, OSError):
        return write_code(error) if is_full(error) else "system-refuses"
    return None if error is None else type(error).__name__


def write_code(error: OSError) -> str:
    """Return the code of a file or folder that cannot be written."""
    return "disk-full" if error.errno in _TOO_LITTLE_ROOM else "cannot-write"
