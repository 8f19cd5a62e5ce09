"""Read a text by ruamel, with YAML 1.2's rules where ruamel has its own.

ruamel takes no tab outside of quotes, ends on a directive between documents, and is lenient about
indentation within brackets and quotes. The rules here are those of the specification; one is left
open on purpose: a closing bracket may stand in any column.

No other module touches ruamel's untyped interface.
"""

from __future__ import annotations

from typing import Any, cast

from ruamel.yaml.error import YAMLError
from ruamel.yaml.loader import SafeLoader
from ruamel.yaml.scanner import ScannerError
from ruamel.yaml.tokens import DirectiveToken

from wavetwin.ir.frozen import frozen

TAB_INDENTS = "a tab stands where spaces indent"
COMMENT_WITHOUT_SPACE = "a comment follows without a space"
NOT_INDENTED = "a continued line is not indented"

_BREAKS = "\r\n\x85\u2028\u2029"
_END = "\0\r\n"


@frozen
class Directive:
    """A line that starts with `%` where a document or a directive may start."""

    start: int
    stop: int


def open_events(text: str) -> Any:
    """Return the events of a text: `check_event()`, `get_event()`, and `directives` so far."""
    return cast("Any", _EventReader)(text)


def find_comment(text: str, start: int) -> int | None:
    """Return where the first comment after an index starts; None where there is none.

    What is before the index is left out. Of a text that is no YAML only the part is looked at that
    can be read.
    """
    comments: list[int] = []
    try:
        loader = open_events(" " * start + text[start:])
        comments = loader.comments
        while loader.check_event():
            loader.get_event()
    except (YAMLError, ValueError, OverflowError):
        pass  # what is wrong is reported by whoever parses the text
    return min(comments, default=None)


class _EventReader(SafeLoader):
    """ruamel's reader, scanner and parser; nothing is composed."""

    def __init__(self, text: str) -> None:
        self.directives: list[Directive] = []
        self.comments: list[int] = []
        """Where comments start, so far."""
        self._tab: Any = None
        """Mark of the last tab that was passed over outside of brackets."""
        cast("Any", super()).__init__(text)
        self._scan: Any = self

    def scan_directive(self) -> Any:
        """Note a directive and pass over its line: what it says is not followed."""
        reader = self._scan.reader
        start = reader.get_mark()
        while reader.peek() not in _END:
            reader.forward()
        stop = reader.get_mark()
        self.directives.append(Directive(int(start.index), int(stop.index)))
        return DirectiveToken("", None, start, stop)

    def scan_to_next_token(self) -> Any:
        """Pass over white space and comments."""
        reader = self._scan.reader
        has_new_line = False
        while True:
            self._pass_white_space()
            if reader.peek() == "#":
                if reader.column and reader.buffer[reader.pointer - 1] not in " \t":
                    raise self._error(COMMENT_WITHOUT_SPACE)
                self.comments.append(int(reader.index))
                while reader.peek() not in _END:
                    reader.forward()
            if not self._scan.scan_line_break():
                break
            has_new_line = True
            if not self._scan.flow_level:
                self._scan.allow_simple_key = True
        if has_new_line and self._scan.flow_level and reader.peek() not in "]},\0":
            self._check_indentation()

    def _pass_white_space(self) -> None:
        reader = self._scan.reader
        while reader.peek() in " \t":
            if reader.peek() == "\t" and not self._scan.flow_level:
                self._tab = reader.get_mark()
            reader.forward()

    def _check_indentation(self) -> None:
        """Refuse a continued line that has not more spaces than the block around it."""
        reader = self._scan.reader
        line = reader.buffer[reader.pointer - reader.column : reader.pointer]
        if len(line) - len(line.lstrip(" ")) <= self._scan.indent:
            raise self._error(NOT_INDENTED)

    def _error(self, problem: str, mark: Any = None) -> ScannerError:
        mark = mark or self._scan.reader.get_mark()
        return cast("Any", ScannerError)(None, None, problem, mark)

    def _refuse_tab_before(self, line: int, index: int) -> None:
        tab = self._tab
        if tab is not None and tab.line == line and tab.index < index:
            raise self._error(TAB_INDENTS, tab)

    def _refuse_tab_here(self) -> None:
        if not self._scan.flow_level:
            self._refuse_tab_before(self._scan.reader.line, self._scan.reader.index)

    def fetch_block_entry(self) -> None:
        """Take a `-`."""
        self._refuse_tab_here()
        self._scan_base().fetch_block_entry()

    def fetch_key(self) -> None:
        """Take a `?`."""
        self._refuse_tab_here()
        self._scan_base().fetch_key()

    def fetch_value(self) -> None:
        """Take a `:`."""
        key = self._scan.possible_simple_keys.get(self._scan.flow_level)
        if key is None:
            self._refuse_tab_here()
        elif not self._scan.flow_level:
            self._refuse_tab_before(key.line, key.index)
        self._scan_base().fetch_value()

    def check_plain(self) -> Any:
        """Return whether a plain scalar starts here; within brackets none is `-` or `?` alone."""
        reader = self._scan.reader
        if self._scan.flow_level and reader.peek() in "-?" and reader.peek(1) in ",[]{}":
            return False
        return self._scan_base().check_plain()

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> Any:
        """Return the white space within a plain scalar, lines folded; nothing where it ends."""
        reader = self._scan.reader
        white_space = self._take(" \t")
        if reader.peek() not in _BREAKS:
            return [white_space] if white_space else []
        first = self._scan.scan_line_break()
        self._scan.allow_simple_key = True
        breaks: list[str] = []
        while True:
            if self._scan.check_document_start() or self._scan.check_document_end():
                return None
            self._take(" ")
            # Tabs may follow the spaces that indent; they do not indent themselves.
            if reader.peek() == "\t" and (reader.column >= indent or self._is_blank_line()):
                self._take(" \t")
            if reader.peek() not in _BREAKS:
                break
            breaks.append(self._scan.scan_line_break())
        if self._scan.flow_level and reader.column < indent:
            return None
        if first != "\n":
            return [first, *breaks]
        return breaks or [" "]

    def _is_blank_line(self) -> bool:
        reader = self._scan.reader
        length = 0
        while reader.peek(length) in " \t":
            length += 1
        return reader.peek(length) in _BREAKS

    def scan_flow_scalar_breaks(self, double: Any, start_mark: Any) -> Any:
        """Return the empty lines within a quoted scalar, up to the line that goes on."""
        chunks = self._scan_base().scan_flow_scalar_breaks(double, start_mark)
        if self._scan.reader.peek() != "\0":
            self._check_indentation()
        return chunks

    def scan_block_scalar_indicators(self, start_mark: Any) -> Any:
        """Return the chomping and the indentation that follow a `|` or `>`."""
        reader = self._scan.reader
        signs = self._take("+-123456789", most=2)
        digits, marks = signs.strip("+-"), signs.strip("123456789")
        if len(digits) > 1 or len(marks) > 1 or reader.peek() not in " \t\0" + _BREAKS:
            raise self._error("expected chomping or indentation indicators")
        return (marks == "+" if marks else None), (int(digits) if digits else None)

    def scan_block_scalar_ignored_line(self, start_mark: Any) -> Any:
        """Pass over the rest of the line that a `|` or `>` ends."""
        reader = self._scan.reader
        white_space = self._take(" \t")
        if reader.peek() == "#" and white_space:
            self.comments.append(int(reader.index))
            while reader.peek() not in _END:
                reader.forward()
        if reader.peek() not in "\0" + _BREAKS:
            raise self._error("expected a comment or a line break")
        self._scan.scan_line_break()

    def scan_block_scalar_indentation(self) -> Any:
        """Return the empty lines that a block scalar starts with, and how far it is indented."""
        reader = self._scan.reader
        breaks: list[str] = []
        widest = 0
        end_mark = reader.get_mark()
        while True:
            self._take(" ")
            if reader.peek() not in _BREAKS:
                break
            widest = max(widest, reader.column)
            breaks.append(self._scan.scan_line_break())
            end_mark = reader.get_mark()
        self._refuse_tab_line(self._scan.indent + 1)
        is_text = reader.column > self._scan.indent and reader.peek() != "\0"
        if is_text and widest > reader.column:
            raise self._error("an empty line is indented deeper than the text after it")
        return breaks, max(widest, reader.column), end_mark

    def scan_block_scalar_breaks(self, indent: int) -> Any:
        """Return the empty lines within a block scalar, up to the line that goes on."""
        taken = self._scan_base().scan_block_scalar_breaks(indent)
        self._refuse_tab_line(indent)
        return taken

    def _refuse_tab_line(self, indent: int) -> None:
        """Refuse a line of a block scalar that a tab indents."""
        reader = self._scan.reader
        if reader.peek() == "\t" and reader.column < indent:
            raise self._error(TAB_INDENTS)

    def _take(self, characters: str, most: int = -1) -> str:
        """Read characters of a set, as many as there are."""
        reader = self._scan.reader
        length = 0
        while length != most and reader.peek(length) in characters:
            length += 1
        text = str(reader.prefix(length))
        reader.forward(length)
        return text

    def _scan_base(self) -> Any:
        return cast("Any", super())
