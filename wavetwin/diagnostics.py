"""Diagnostics: what is wrong, where, and what to do about it, as data.

Every stage collects `Diagnostic`s; `CompileError` carries them to the public edge, where they are
rendered once (decisions.md 18-20).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stretch of one line of one source; line and column count from 1, length in characters."""

    path: str
    """As shown to the user: relative to the project root, or `--set[K]` for an override."""
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Origin:
    """One value that takes part in a clash: what it is and where it was set."""

    label: str
    """Key path and value, for example `stem.free_channels 32`."""
    place: Place | None
    """None for a default."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is a word that names the fault; the headline stands alone on a line."""

    code: str
    headline: str
    place: Place | None = None
    severity: Severity = "error"
    origins: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    source_line: str | None = None
    """The text of the line at `place`, without its line end."""
    subject: str | None = field(default=None)
    """What the message is about where there is no place: a file or a command."""


class CompileError(Exception):
    """The user's input cannot be compiled; carries every diagnostic found, in file order."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(
            "\n".join(f"{d.place or d.subject}: {d.code}: {d.headline}" for d in self.diagnostics)
        )
