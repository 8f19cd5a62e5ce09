"""Syntax: a YAML parser's words for what is wrong, in ours."""

from __future__ import annotations

_SYNTAX: tuple[tuple[str, str, str | None], ...] = (
    (
        "mapping values are not allowed",
        "a ':' that starts a value is not allowed here",
        "put each field on a line of its own; quote text that holds ': '",
    ),
    (
        "cannot start any token",
        "this character cannot start a value",
        "indent with spaces; quote text that starts with a special character",
    ),
    ("could not find expected ':'", "this line has no ':' after its key", None),
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


def explain_syntax(problem: str, context: str) -> tuple[str, str | None]:
    """Return a headline and a help for the parser's own words."""
    for words, headline, help_text in _SYNTAX:
        if words in problem:
            return headline, help_text
    return (f"{problem} ({context})" if context else problem), None
