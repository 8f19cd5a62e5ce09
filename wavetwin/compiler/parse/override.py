"""Read one `--set key.path=value` of the command line, as a layer like a file's."""

from __future__ import annotations

import re

from wavetwin.compiler.parse.events import find_comment
from wavetwin.compiler.parse.source import Source, report
from wavetwin.compiler.parse.tree import ParsedSource, SpecNode, parse_value

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_override(text: str, number: int) -> ParsedSource:
    """Parse an override, counted from 1; columns count in the override's whole text.

    The value is YAML, read by the rules of a file; the keys name a field, not an index of a list.
    """
    source = Source(f"--set[{number}]", text)
    key_text, equals, value_text = text.partition("=")
    if not equals:
        return _refuse(
            source,
            "an override is written key.path=value",
            0,
            len(text),
            "for example stem.stride=2",
        )
    keys: list[tuple[str, int]] = []
    start = 0
    for key in key_text.split("."):
        if not _KEY.fullmatch(key):
            if key.isdigit():
                headline = f"'{key}' is an index of a list, and a list is replaced as a whole"
                help_text = f"write {key_text[:start].rstrip('.')}=[...]"
            else:
                headline = f"'{key}' is not the name of a field" if key else "a name is missing"
                help_text = "an override is written key.path=value"
            return _refuse(source, headline, start, start + len(key), help_text)
        keys.append((key, start))
        start += len(key) + 1
    if keys[0][0] == "extends":
        return _refuse(
            source, "an override cannot name parents", 0, 7, "write a spec that extends them"
        )
    if not value_text.strip():
        return _refuse(
            source, "there is no value", 0, len(text), "write null to remove what is inherited"
        )
    refused = _refuse_comment(source, key_text, start)
    if refused is not None:
        return refused
    parsed = parse_value(source, start)
    node = parsed.tree
    if node is None:
        return parsed
    for key, key_start in reversed(keys):
        location = source.location(key_start, key_start + len(key))
        inner = SpecNode(node.value, node.location, location)
        node = SpecNode({key: inner}, location)
    return ParsedSource(source, node, parsed.diagnostics, parsed.reliable_lines)


def _refuse_comment(source: Source, key_text: str, start: int) -> ParsedSource | None:
    """Refuse a value with a comment, which YAML would leave out: it was not meant as one."""
    comment = find_comment(source.text, start)
    if comment is None:
        return None
    value = source.text[start:comment].strip()
    if not value:
        help_text = "write null to remove what is inherited; quote a '#'"
        return _refuse(source, "there is no value", 0, len(source.text), help_text)
    is_plain = value[0] not in "[{'\"|>&*!"
    return _refuse(
        source,
        "what follows ' #' is a comment, and would be left out",
        comment,
        len(source.text),
        f"write {key_text}={_quoted(source.text[start:])}"
        if is_plain
        else "remove it, or quote it",
    )


def _quoted(text: str) -> str:
    return "'" + text.strip().replace("'", "''") + "'"


def _refuse(source: Source, headline: str, start: int, stop: int, help: str) -> ParsedSource:
    location = source.location(start, stop)
    return ParsedSource(
        source, None, (report(source, "bad-override", headline, location, help=help),)
    )
