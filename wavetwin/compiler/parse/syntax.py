"""Explain what is wrong with a text that is no YAML, where, and which edit mends it.

ruamel says where its reading stopped; here that becomes the line at fault. An edit is offered only
where the text, so edited, is read beyond the fault.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from wavetwin.compiler.parse.events import (
    COMMENT_WITHOUT_SPACE,
    NOT_INDENTED,
    TAB_INDENTS,
    Directive,
    open_events,
)
from wavetwin.compiler.parse.source import Source, report
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.frozen import frozen

_SYNTAX: tuple[tuple[str, str, str | None], ...] = (
    (TAB_INDENTS, TAB_INDENTS, "indent with spaces"),
    (COMMENT_WITHOUT_SPACE, "a '#' follows without a space", "put a space before the comment"),
    (NOT_INDENTED, NOT_INDENTED, "indent it deeper than the field that it belongs to"),
    (
        "cannot start any token",
        "this character cannot start a value",
        "quote text that starts with a special character",
    ),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "fields of one section start in the same column",
    ),
    ("expected ',' or", "a ',' or a closing bracket is missing", None),
    ("found unexpected end of stream", "the text ends inside quotes", "close the quotes"),
    (
        "expected '<document start>'",
        "this does not belong to the mapping above",
        "fields of one section start in the same column",
    ),
    ("the node content, but found", "a value is missing here", None),
    (
        "sequence entries are not allowed here",
        "a '-' that starts an item is not allowed here",
        "put the list on the lines after its key",
    ),
    (
        "unknown escape character",
        "this escape is not known in double quotes",
        "write the backslash twice, or use single quotes",
    ),
)
_SAME_COLUMN = "fields of one section start in the same column"
_NO_COLON = "this line has no ':' after its key"
_ITEM = re.compile(r"(?:-[ ]+)*")
_COLON = re.compile(r":(?:\s|$)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_YAML_1_2 = re.compile(r"%YAML[ \t]+1\.2[ \t]*(?:#.*)?$")
_CONFLICT = re.compile(r"(?:<{7}|>{7}|\|{7}) .*|={7}")


@frozen
class Explanation:
    """A fault of a text, as we report it."""

    headline: str
    start: int
    """Where it is shown."""
    stop: int | None = None
    help: str | None = None


def explain_syntax(text: str, error: Any, index: int, first: int) -> Explanation:
    """Return where a text is at fault, and how.

    Args:
        text: as it was read.
        error: ruamel's.
        index: where ruamel stopped.
        first: where what it was reading starts.
    """
    problem = str(error.problem or error.context or "this cannot be read")
    source = Source("", text)
    if "mapping values are not allowed" in problem:
        return _explain_colon(source, index)
    if "could not find expected ':'" in problem:
        return _explain_key(source, source.location(first).line)
    if "expected <block end>" in problem:
        found = _explain_above(source, index)
        if found is not None and found.help not in (None, _SAME_COLUMN):
            return found
    for label, headline, help_text in _SYNTAX:
        if label in problem:
            return Explanation(headline, index, None, help_text)
    context = str(error.context or "")
    return Explanation(f"{problem} ({context})" if context else problem, index)


def refuse_directives(source: Source, directives: list[Directive]) -> list[Diagnostic]:
    """Report what stands before a document and is no `%YAML 1.2`, which stands there once."""
    found: list[Diagnostic] = []
    is_given = False
    for each in directives:
        line = source.text[each.start : each.stop]
        is_known = bool(_YAML_1_2.match(line))
        if is_given or not is_known:
            why = "given twice" if is_known else "not allowed in a spec"
            found.append(
                report(
                    source,
                    "directive",
                    f"the directive '{line.split()[0]}' is {why}",
                    source.location(each.start, each.stop),
                    help="the only directive is `%YAML 1.2`, and it is not needed",
                )
            )
        is_given = is_given or is_known
    return found


def find_conflict(source: Source, last_line: int | None) -> int | None:
    """Return the line of the first mark that an unresolved merge leaves, None where there is none.

    Without a whole set of marks only those up to the line of a syntax error, the line after it
    included, are taken for what they look like.
    """
    marks = [
        (line, source.line_text(line)[0])
        for line in range(1, source.num_lines + 1)
        if _CONFLICT.fullmatch(source.line_text(line))
    ]
    signs = [sign for _, sign in marks]
    if "<" in signs and "=" in signs[signs.index("<") :] and ">" in signs[signs.index("<") :]:
        return marks[signs.index("<")][0]
    near = [line for line, _ in marks if last_line is not None and line <= last_line + 1]
    return near[0] if near else None


def _explain_above(source: Source, index: int) -> Explanation | None:
    """Explain a field that does not fit the line above it, which has no ':' or starts elsewhere."""
    location, text = source.location(index), source.text
    above = _line_above(source, location.line)
    if above is None:
        return None
    if not _COLON.search(_without_comment(source.line_text(above))):
        return _explain_key(source, above)
    key_column = _key_column(source.line_text(location.line))
    column = _key_column(source.line_text(above))
    if key_column <= column:
        return None
    start = source.offset(location.line)
    edited = text[:start] + " " * column + text[start + key_column :]
    is_mended = _is_read_beyond(edited, start + column)
    return Explanation(
        "this line is indented deeper than the one above",
        start + key_column,
        None,
        f"start it in column {column + 1}" if is_mended else _SAME_COLUMN,
    )


def _explain_colon(source: Source, index: int) -> Explanation:
    """Explain a ':' where no value may start: often what is wrong is the line above."""
    location, text = source.location(index), source.text
    line = source.line_text(location.line)
    if not _COLON.search(line[_key_column(line) : location.column - 1]):
        found = _explain_above(source, index)
        if found is not None:
            return found
    headline = "a ':' that starts a value is not allowed here"
    match = _COLON.search(line)
    if match is not None and match.start() < location.column - 1:
        rest = _without_comment(line[match.end() :]).strip()
        start = source.offset(location.line) + line.index(rest, match.end())
        quoted = '"' + rest.replace("\\", "\\\\").replace('"', '\\"') + '"'
        edited = text[:start] + quoted + text[start + len(rest) :]
        if _is_read_beyond(edited, start + len(quoted)):
            return Explanation(headline, index, None, f"quote the text: write {quoted}")
    return Explanation(
        headline,
        index,
        None,
        "put each field on a line of its own; quote text that holds ': '",
    )


def _explain_key(source: Source, line: int) -> Explanation:
    """Explain a line that should start with a key and has no ':'."""
    text = source.text
    content = _without_comment(source.line_text(line))
    column = _key_column(content)
    start = source.offset(line) + column
    stop = start + len(content) - column
    key, _, value = content[column:].partition(" ")
    help_text = None
    if key:
        written = f"{key}: {value.strip()}" if value.strip() else f"{key}:"
        edited = text[:start] + written + text[stop:]
        if _is_read_beyond(edited, start + len(written)):
            help_text = f"write {written}"
    return Explanation(_NO_COLON, start, stop, help_text)


def _is_read_beyond(text: str, index: int) -> bool:
    """Return whether a text is read without a fault up to the end of the line that an index lies in."""
    end = text.find("\n", index)
    loader = open_events(text)
    try:
        while loader.check_event():
            loader.get_event()
    except MarkedYAMLError as error:
        mark = cast("Any", error).problem_mark or cast("Any", error).context_mark
        return mark is not None and 0 <= end < int(mark.index)
    except (YAMLError, ValueError, OverflowError):
        return False
    return True


def _line_above(source: Source, line: int) -> int | None:
    """Return the last line before one that is neither empty nor a comment."""
    for number in range(line - 1, 0, -1):
        if _without_comment(source.line_text(number)).strip():
            return number
    return None


def _key_column(line: str) -> int:
    """Return the index of a line's first character beside its spaces and the dashes of items."""
    indentation = len(line) - len(line.lstrip(" "))
    match = _ITEM.match(line, indentation)
    return indentation if match is None else match.end()


def _without_comment(line: str) -> str:
    return _COMMENT.sub("", line).rstrip()
