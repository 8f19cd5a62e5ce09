"""Hold a text under its name, and find the locations in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from wavetwin.diagnostics import Diagnostic, Location, Origin
from wavetwin.ir.frozen import frozen

LINE_END = re.compile(r"\r\n|\n|\r")


@frozen
class Source:
    """A text and the name that it is shown under."""

    path: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in LINE_END.finditer(self.text))]

    @property
    def num_lines(self) -> int:
        """Lines, an empty one after the last line end included."""
        return len(self._starts)

    def offset(self, line: int) -> int:
        """Return where a line, counted from 1, starts in the text."""
        return self._starts[line - 1]

    def line_text(self, line: int) -> str:
        """Return a line, counted from 1, without its end; empty beyond the last."""
        if not 1 <= line <= len(self._starts):
            return ""
        stop = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : stop].rstrip("\r\n")

    def location(self, start: int, stop: int | None = None) -> Location:
        """Return the location of the characters from `start` to `stop`, cut at the line's end."""
        line = bisect_right(self._starts, start)
        first = self._starts[line - 1]
        length = 1
        if stop is not None and stop > start + 1:
            shown = self.text[start:stop]
            end = LINE_END.search(shown)
            length = max(1, len((shown[: end.start()] if end else shown).rstrip()))
        return Location(self.path, line, start - first + 1, length)


def report(
    source: Source,
    code: str,
    headline: str,
    location: Location,
    *,
    origins: tuple[Origin, ...] = (),
    notes: tuple[str, ...] = (),
    help: str | None = None,
) -> Diagnostic:
    """Return an error at a location of a source, with the source's line."""
    return Diagnostic(
        code,
        headline,
        location,
        origins=origins,
        notes=notes,
        help=help,
        source_line=source.line_text(location.line),
    )
