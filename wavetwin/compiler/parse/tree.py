"""Parse one file's text to a tree of nodes that know their locations.

The tree is made from ruamel's events, not from its nodes: size, depth and aliases are bounded
before anything is composed, and a syntax error hides only what follows it. Plain scalars are
resolved here, by the YAML 1.2 core schema and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from ruamel.yaml.error import MarkedYAMLError

from wavetwin.compiler.parse.events import Directive, open_events
from wavetwin.compiler.parse.nodes import ParsedSource, SpecNode
from wavetwin.compiler.parse.source import Source, report
from wavetwin.compiler.parse.syntax import explain_syntax, find_conflict, refuse_directives
from wavetwin.compiler.parse.tree_builder import StopParsing, TreeBuilder
from wavetwin.diagnostics import Diagnostic

__all__ = ["ParsedSource", "SpecNode", "parse_bytes", "parse_text", "parse_value"]

MAX_CHARACTERS = 262_144
"""Characters of one file."""
MAX_BYTES = 4 * MAX_CHARACTERS
"""Bytes of one file that are looked at: no character takes more than four."""

# The characters that YAML 1.2 does not allow in a text. Listed themselves: what leaves out those that it
# allows takes 20 times as long to compile.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)


def parse_bytes(data: bytes, path: str) -> ParsedSource:
    """Parse a file's bytes; `path` is how the file is shown."""
    if len(data) > MAX_BYTES:
        source = Source(path, "")
        return ParsedSource(source, None, (_too_large(source),))
    invalid = _first_invalid_byte(data)
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    source = Source(path, text)
    if invalid is not None:
        start = len(data[:invalid].decode("utf-8").removeprefix("\ufeff"))
        return ParsedSource(
            source,
            None,
            (
                report(
                    source,
                    "not-utf-8",
                    f"the byte 0x{data[invalid]:02x} is not UTF-8",
                    source.location(start),
                    help="save the file as UTF-8",
                ),
            ),
        )
    return parse_text(source)


def parse_text(source: Source) -> ParsedSource:
    """Parse a text; never raises for what the text holds."""
    return _TextReader(source, TreeBuilder(source)).read(source.text)


def parse_value(source: Source, start: int) -> ParsedSource:
    """Parse one value of any kind that starts within a text; what is before it is left out."""
    text = " " * start + source.text[start:]
    return _TextReader(source, TreeBuilder(source), takes_any_value=True).read(text)


def _too_large(source: Source) -> Diagnostic:
    headline = f"a spec has at most {MAX_CHARACTERS} characters, and this file has more"
    return Diagnostic("file-too-large", headline, source.location(0))


def _first_invalid_byte(data: bytes) -> int | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


@dataclass
class _TextReader:
    """Reads one text, and says what is wrong with it where it cannot be read."""

    source: Source
    builder: TreeBuilder
    takes_any_value: bool = False
    """Whether the top may be something else than a mapping."""

    def read(self, text: str) -> ParsedSource:
        """Parse `text`, which has the source's length."""
        if len(text) > MAX_CHARACTERS:
            self.builder.diagnostics.append(_too_large(self.source))
            return ParsedSource(self.source, None, tuple(self.builder.diagnostics))
        reliable_lines = self._read_events(self._blank_unprintable(text))
        tree = self.builder.root
        if self.builder.is_abandoned:
            tree = None
        elif self.takes_any_value:
            pass
        elif tree is None or tree.value is None:
            if not self.builder.diagnostics:
                self._refuse_empty()
            tree = None
        elif not isinstance(tree.value, dict):
            if reliable_lines is not None:
                return ParsedSource(
                    self.source, None, tuple(self.builder.diagnostics), reliable_lines
                )
            kind = "list" if isinstance(tree.value, list) else "single value"
            self.builder.error(
                "not-a-mapping",
                f"a spec is a mapping of fields, not a {kind}",
                tree.location,
                help="a spec starts with `wavetwin: 1`",
            )
            tree = None
        self.builder.diagnostics.sort(
            key=lambda item: (item.location.line, item.location.column) if item.location else (0, 0)
        )
        return ParsedSource(self.source, tree, tuple(self.builder.diagnostics), reliable_lines)

    def _refuse_empty(self) -> None:
        self.builder.error(
            "empty-document",
            "there is nothing in this file",
            self.source.location(0),
            help="a spec starts with `wavetwin: 1`",
        )

    def _blank_unprintable(self, text: str) -> str:
        matches = list(_UNPRINTABLE.finditer(text))
        if not matches:
            return text
        for match in matches:
            self.builder.error(
                "unprintable-character",
                f"the character U+{ord(match.group()):04X} is not allowed in a spec",
                self.source.location(match.start()),
            )
        return _UNPRINTABLE.sub("\ufffd", text)

    def _read_events(self, text: str) -> int | None:
        """Consume the events; return the number of lines that can be trusted, None for all."""
        loader = open_events(text)
        reliable_lines: int | None = None
        try:
            while loader.check_event():
                self.builder.take(loader.get_event(), loader.directives)
        except StopParsing:
            return None
        except MarkedYAMLError as error:
            reliable_lines = self._take_syntax_error(text, cast("Any", error), loader.directives)
        except (ValueError, OverflowError):
            # ruamel gives the number of an escape to chr(), and its bytes to a decoder.
            location = self.source.location(int(loader.get_mark().index))
            self.builder.error("syntax-error", "an escape does not name a character", location)
            self.builder.close_frames()
            reliable_lines = location.line - 1
        last = None
        if reliable_lines is not None and self.builder.diagnostics[-1].location is not None:
            last = self.builder.diagnostics[-1].location.line
        conflict = find_conflict(self.source, last)
        return reliable_lines if conflict is None else self._take_conflict(conflict)

    def _take_conflict(self, line: int) -> int:
        """Report an unresolved merge, which explains whatever is wrong from its line on."""
        start = self.source.offset(line)
        self.builder.diagnostics = [
            each
            for each in self.builder.diagnostics
            if each.location is not None and each.location.line < line
        ]
        self.builder.error(
            "merge-conflict",
            "a merge conflict is not resolved",
            self.source.location(start, self.builder.line_end(start)),
            help="keep one of the two sides, and remove the lines of <, = and >",
        )
        return line - 1

    def _take_syntax_error(self, text: str, error: Any, directives: list[Directive]) -> int:
        problem = str(error.problem or "")
        mark = error.problem_mark or error.context_mark
        index = min(int(mark.index), len(self.source.text)) if mark else len(self.source.text)
        first = index
        if error.context_mark is not None:
            first = min(first, int(error.context_mark.index))
        if "undefined tag handle" in problem:
            self.builder.refuse_tag(index, None)
        elif self._is_key_apart(problem, index):
            self.builder.error(
                "key-and-colon-apart",
                "within brackets, a key, its ':' and a space stand on one line",
                self.source.location(index),
                help="put them on one line",
            )
        elif not self.builder.num_documents and directives:
            self.builder.diagnostics += refuse_directives(self.source, directives)
            location = self.source.location(directives[0].start, directives[0].stop)
            if not self.builder.diagnostics:
                headline = "no document follows this directive"
                self.builder.error(
                    "syntax-error", headline, location, help="remove it: it is not needed"
                )
        elif (
            not self.builder.frames
            and self.builder.root is None
            and problem.endswith("'<document end>'")
        ):
            self._refuse_empty()
        else:
            self._explain(text, error, index, first)
        self.builder.close_frames()
        if "block" in str(error.context or ""):
            first = index
        # The value that the error ends may have swallowed what follows it.
        last_start, last_stop = self.builder.last_scalar
        if self.source.location(last_stop).line >= self.source.location(first).line:
            first = min(first, last_start)
        return self.source.location(first).line - 1

    def _explain(self, text: str, error: Any, index: int, first: int) -> None:
        found = explain_syntax(text, error, index, first)
        start = found.start
        notes: tuple[str, ...] = ()
        if first < index == start:
            context = self.source.location(first)
            if not self.source.text[index:].strip():
                start = first
            elif context.line != self.source.location(index).line:
                opened = str(error.context or "").removeprefix("while ")
                notes = (f"started: {opened} at line {context.line}",)
        location = self.source.location(start, found.stop)
        self.builder.error("syntax-error", found.headline, location, notes=notes, help=found.help)

    def _is_key_apart(self, problem: str, index: int) -> bool:
        """Return whether YAML has a rare form here: a key on another line than its ':', or none."""
        if (
            not self.builder.frames
            or not self.builder.frames[-1].is_flow
            or self.source.text[index:][:1] != ":"
        ):
            return False
        frame = self.builder.frames[-1]
        if frame.mapping is None:
            before = self.source.text[:index].rstrip()
            is_key = bool(frame.items) and not isinstance(frame.items[-1].value, dict)
            return "node content" in problem or before.endswith(("'", '"', "}", "]")) or is_key
        last = next(reversed(frame.mapping.values()), None)
        return last is not None and last.left_out == "colon"
