"""Format a spec's text in one way that keeps what it says and its comments.

Two spaces of indentation, lists indented below their key, one space after `:`, `,` and before comments two
at least, one empty line at most between lines, no space at their ends. The order of keys, quotes, the
way numbers are written, and brackets on one line or several stay as they are.

ruamel writes the text again; what it would join or lose (brackets over several lines, a field left empty in
brackets) is kept out of its sight meanwhile.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import Any, cast

from wavetwin.compiler.parse.nodes import SpecNode, to_plain
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import parse_text
from wavetwin.ir.frozen import frozen

__all__ = ["format_text"]

_WIDE = 1 << 30
"""Columns at which ruamel breaks lines."""
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*$", re.MULTILINE)
_STRING = "tag:yaml.org,2002:str"


@frozen
class _Span:
    """A value's characters, as ruamel's marks have them."""

    start: int
    stop: int
    first_line: int
    last_line: int


def format_text(text: str) -> str | None:
    """Return the text as it should be written; None where that would change what it says.

    Args:
        text: of a spec or a sweep that `parse_text` reads without a fault.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    from ruamel.yaml.error import YAMLError

    try:
        # An anchor that is named twice is a warning of ruamel's alone.
        with warnings.catch_warnings(action="ignore"):
            formatted = _tidy(text if _is_without_values(text) else _form(text))
            return formatted if _says_the_same(text, formatted) else None
    except (YAMLError, NotImplementedError):
        # ruamel reads in another way than `parse_text` here, or cannot place a comment.
        return None


def _form(text: str) -> str:
    hidden, kept = _hide(text)
    return _show(_write_again(hidden), kept)


def _is_without_values(text: str) -> bool:
    """Return whether there is nothing but comments and empty lines."""
    return all(line.lstrip()[:1] in ("", "#") for line in text.split("\n"))


def _yaml() -> Any:
    """Return ruamel's reader and writer for texts; every plain scalar is a text that it leaves alone."""
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver
    from ruamel.yaml.tag import Tag

    class Plain(VersionedResolver):
        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is ScalarNode:
                return Tag(suffix=_STRING)
            return cast("Any", super()).resolve(kind, value, implicit)

    yaml: Any = YAML(typ="rt")
    yaml.Resolver = Plain
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    # `[{a: 1}]` would become `[a: 1]`, which says the same to few readers.
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _write_again(text: str) -> str:
    yaml = _yaml()
    written = io.StringIO()
    yaml.dump(yaml.load(text), written)
    return written.getvalue()


def _nodes(text: str) -> Iterator[Any]:
    """Yield ruamel's nodes, outer ones first."""
    waiting: list[Any] = [_yaml().compose(text)]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        yield node
        waiting += _parts(node)


def _parts(node: Any) -> list[Any]:
    """Return a mapping's keys and values, or a list's items; none of a scalar."""
    parts: list[Any] = []
    for each in cast("list[Any]", node.value) if isinstance(node.value, list) else []:
        parts += cast("tuple[Any, ...]", each) if isinstance(each, tuple) else (each,)
    return parts


def _span(node: Any) -> _Span:
    start, end = node.start_mark, node.end_mark
    return _Span(start.index, end.index, start.line, end.line)


def _hide(text: str) -> tuple[str, list[str]]:
    """Return the text with a name in the place of each pair of brackets that ruamel would change, and those."""
    spans: list[_Span] = []
    for node in _nodes(text):
        span = _span(node)
        if not isinstance(node.value, list) or not node.flow_style:
            continue
        if spans and any(each.start <= span.start < each.stop for each in spans):
            continue
        if span.first_line != span.last_line or _has_empty(node):
            spans.append(span)
    kept: list[str] = []
    for span in sorted(spans, key=lambda each: each.start, reverse=True):
        kept.append(text[span.start : span.stop])
        text = text[: span.start] + _name(len(kept) - 1) + text[span.stop :]
    return text, kept


def _name(number: int) -> str:
    return f"WAVETWIN-BRACKETS-{number}-"


def _has_empty(node: Any) -> bool:
    """Return whether brackets have a value that is left empty, at any depth."""
    if not isinstance(node.value, list):
        return node.value == "" and node.style is None
    return any(map(_has_empty, _parts(node)))


def _show(text: str, kept: list[str]) -> str:
    """Put the brackets back, their further lines indented by where they begin."""
    for number, brackets in enumerate(kept):
        name = _name(number)
        start = text.index(name)
        line = text[text.rfind("\n", 0, start) + 1 :]
        first, *further = brackets.split("\n")
        deep = " " * _content_column(line)
        lines = [first.rstrip()]
        for each in further:
            content = each.strip()
            closes = content[:1] in ("]", "}")
            lines.append(f"{deep if closes else deep + '  '}{content}" if content else "")
        text = text.replace(name, "\n".join(lines), 1)
    return text


def _content_column(line: str) -> int:
    """Return where a line's key begins: after its indentation and the dashes of lists."""
    found = re.match(r"[ ]*(?:- +)*", line)
    assert found is not None
    return found.end()


def _tidy(text: str) -> str:
    """Set comments above what they are about, and leave one empty line of several."""
    protected: set[int] = set()
    for node in () if _is_without_values(text) else _nodes(text):
        span = _span(node)
        if not isinstance(node.value, list):
            protected |= set(range(span.first_line + 1, span.last_line))
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if number not in protected:
            lines[number] = line.rstrip()
    depths = [_depth(line) for line in lines]
    tidied: list[str] = []
    for number, line in enumerate(lines):
        if number in protected:
            tidied.append(line)
        elif line.lstrip().startswith("#"):
            tidied.append(" " * _comment_depth(depths, number, line) + line.lstrip())
        elif line or (tidied and tidied[-1] != ""):
            tidied.append(line)
    while tidied and tidied[-1] == "":
        tidied.pop()
    return "".join(f"{line}\n" for line in tidied)


def _depth(line: str) -> int | None:
    """Return a line's indentation; None of an empty one and of a comment."""
    content = line.lstrip()
    return None if content[:1] in ("", "#") else len(line) - len(content)


def _comment_depth(depths: list[int | None], number: int, line: str) -> int:
    """Return a comment's indentation: that of the line below, unless it ends what is above."""
    before = next((each for each in reversed(depths[:number]) if each is not None), 0)
    after = next((each for each in depths[number + 1 :] if each is not None), 0)
    own = len(line) - len(line.lstrip())
    return before if own >= before > after else after


def _says_the_same(before: str, after: str) -> bool:
    """Return whether two texts have the same values and the same comments."""
    return _values(before) == _values(after) and sorted(_comments(before)) == sorted(
        _comments(after)
    )


def _values(text: str) -> Any:
    tree: SpecNode | None = parse_text(Source("", text)).tree
    return None if tree is None else to_plain(tree)


def _comments(text: str) -> list[str]:
    """Return the comments, without what only looks like one within a text."""
    if _is_without_values(text):
        return _COMMENT.findall(text)
    for node in _nodes(text):
        if not isinstance(node.value, list) and node.style is not None:
            span = _span(node)
            blank = re.sub(r"[^\n]", "_", text[span.start : span.stop])
            text = text[: span.start] + blank + text[span.stop :]
    return [each.rstrip() for each in _COMMENT.findall(text)]
