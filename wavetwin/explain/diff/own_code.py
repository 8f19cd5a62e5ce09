"""Compare the files of own code that two experiments are built from."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics.listing import plural

__all__ = ["FileChange", "compare_own_code", "own_code_title"]

MAX_LINES = 60
"""Of one file's difference; the rest is counted."""
MAX_WIDTH = 160
"""Characters of one of its lines."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file of own code that differs, or that one side alone has."""

    path: str
    """In the project."""
    kind: str
    """`added`, `removed` or `changed`."""
    lines: tuple[str, ...]
    """The difference of a changed one as `diff -u` shows it, of so many lines."""
    left_out: int
    """Lines of the difference beyond these."""


def compare_own_code(before: Compiled, after: Compiled) -> tuple[FileChange, ...]:
    """Return the files that differ, by their paths."""
    ours, theirs = before.own_code.files, after.own_code.files
    found: list[FileChange] = []
    for path in sorted(ours.keys() | theirs.keys()):
        old, new = ours.get(path), theirs.get(path)
        if old is None or new is None:
            found.append(FileChange(path, "added" if old is None else "removed", (), 0))
        elif old != new:
            lines = _difference(path, old, new)
            kept = tuple(lines[:MAX_LINES])
            found.append(FileChange(path, "changed", kept, len(lines) - len(kept)))
    return tuple(found)


def own_code_title(changes: tuple[FileChange, ...]) -> str:
    """Return how many files differ."""
    return f"{plural(len(changes), 'file')} {'differs' if len(changes) == 1 else 'differ'}"


def _difference(path: str, old: bytes, new: bytes) -> list[str]:
    before, after = (each.decode("utf-8", "replace").splitlines() for each in (old, new))
    lines = list(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm=""))
    if not lines:
        return ["(line ends or encoding alone)"]
    return [line if len(line) <= MAX_WIDTH else f"{line[: MAX_WIDTH - 4]} ..." for line in lines]
