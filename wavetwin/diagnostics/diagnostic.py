"""Describe what is wrong, where, and what to do about it, as data.

Every stage of the compiler collects `Diagnostic`s, and at run time each fault is one; an exception
carries them to the public edge, where they are rendered once, as text, JSON,
commands of GitHub's workflows, or SARIF.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wavetwin.diagnostics.terminal import as_json, escape, paint, printable

Severity = Literal["error", "warning", "note"]

MAX_SHOWN_LINE = 160
"""Characters of a source line that are shown; of a longer one, those around the location."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
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
    """One value that takes part in a conflict: what it is and where it was set."""

    label: str
    """Key path and value, for example `stem.free_channels 32`."""
    location: Location | None
    """None for a default."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` names the fault; the headline stands alone on a line."""

    code: str
    headline: str
    location: Location | None = None
    severity: Severity = "error"
    origins: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = ()
    """Further lines, each with a label of its own: `files: a.yaml, b.yaml`."""
    help: str | None = None
    source_line: str | None = None
    """The text of the line at `location`, without its line end."""
    subject: str | None = None
    """What the message is about where there is no location: a file or a command."""
    fields: tuple[str, ...] = field(default=(), compare=False)
    """Key paths of the values that do not go together; it is not shown."""

    def is_within(self, section: str) -> bool:
        """Return whether all the values that it is about are of one section of the spec."""
        return bool(self.fields) and all(
            f"{each}.".startswith(f"{section}.") for each in self.fields
        )


class DiagnosticError(Exception):
    """What was asked for cannot be done, through no fault of the program."""

    diagnostics: tuple[Diagnostic, ...]
    """What is shown of it; one at least."""


class CompileError(DiagnosticError):
    """The user's input cannot be compiled; carries every diagnostic found, in file order."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(
            "\n".join(
                f"{d.location or d.subject}: {d.code}: {d.headline}" for d in self.diagnostics
            )
        )


def render_text(diagnostics: Iterable[Diagnostic], colour: bool = False) -> str:
    """Return the diagnostics for people to read, an empty line between them.

    `colour` adds the escape sequences of terminals. Characters of the input that a terminal would
    act on are shown as escapes.
    """
    return "\n".join(_text_of(diagnostic, colour) for diagnostic in diagnostics)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return the same data as one JSON document: `{"version": 1, "diagnostics": [...]}`."""
    document = {"version": 1, "diagnostics": [_json_of(each) for each in diagnostics]}
    return as_json(document, indent=2)


def from_document(document: Any) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a document of `render_json`, which another process wrote.

    Raises:
        LookupError, TypeError: it is no such document.
    """
    return tuple(
        Diagnostic(
            each["code"],
            each["headline"],
            _read_location(each["location"]),
            each["severity"],
            tuple(Origin(one["label"], _read_location(one["location"])) for one in each["from"]),
            tuple(each["notes"]),
            each["help"],
            each["source_line"],
            each["subject"],
        )
        for each in document["diagnostics"]
    )


def _read_location(value: dict[str, Any] | None) -> Location | None:
    return None if value is None else Location(**value)


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Return a workflow command for each diagnostic: GitHub shows it beside the line."""
    lines: list[str] = []
    for diagnostic in diagnostics:
        command = "notice" if diagnostic.severity == "note" else diagnostic.severity
        properties: dict[str, object] = {}
        location = diagnostic.location
        if location is not None:
            properties = {
                "file": location.path,
                "line": location.line,
                "col": location.column,
                "endColumn": location.column + location.length - 1,
            }
        properties["title"] = diagnostic.code
        written = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
        message = "\n".join([_plain_headline(diagnostic), *_detail_lines(diagnostic)])
        lines.append(f"::{command} {written}::{_escape_message(message)}\n")
    return "".join(lines)


def render_sarif(diagnostics: Iterable[Diagnostic], version: str | None = None) -> str:
    """Return a SARIF 2.1.0 log: what code scanning services read; `version` is wavetwin's."""
    from wavetwin.diagnostics.codes import DESCRIPTIONS

    found = tuple(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "wavetwin",
                        **({} if version is None else {"version": version}),
                        "rules": [
                            {"id": code, "shortDescription": {"text": DESCRIPTIONS[code]}}
                            for code in codes
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(each, codes.index(each.code)) for each in found],
            }
        ],
    }
    return as_json(log, indent=2)


_COLOURS: Mapping[Severity, str] = {"error": "31", "warning": "33", "note": "36"}


def _text_of(diagnostic: Diagnostic, colour: bool) -> str:
    def mark(text: str, codes: str) -> str:
        return paint(text, codes) if colour else printable(text)

    severity_colour = _COLOURS[diagnostic.severity]
    location = diagnostic.location
    where = location if location is not None else diagnostic.subject
    head = [] if where is None else [mark(f"{where}:", "1")]
    head += [
        mark(f"{diagnostic.severity}:", f"1;{severity_colour}"),
        f"{diagnostic.code}:",
        mark(diagnostic.headline, "1"),
    ]
    lines = [" ".join(head)]
    if location is not None and diagnostic.source_line is not None:
        shown, indent, width = _shown_line(diagnostic.source_line, location)
        number = str(location.line)
        gutter = " " * len(number)
        lines.append(f"  {number} | {shown}".rstrip())
        lines.append(f"  {gutter} | {indent}{mark('^' * width, severity_colour)}")
    lines += [f"  {line}" for line in _detail_lines(diagnostic)]
    return "\n".join(lines) + "\n"


def _detail_lines(diagnostic: Diagnostic) -> list[str]:
    lines: list[str] = []
    if diagnostic.origins:
        origins = ", ".join(
            f"{origin.label} ({_origin_location(origin.location)})" for origin in diagnostic.origins
        )
        lines.append(f"from: {origins}")
    lines += diagnostic.notes
    if diagnostic.help is not None:
        lines.append(f"help: {diagnostic.help}")
    return [printable(line) for line in lines]


def _origin_location(location: Location | None) -> str:
    return "default" if location is None else f"{location.path}:{location.line}"


def _plain_headline(diagnostic: Diagnostic) -> str:
    headline = printable(diagnostic.headline)
    if diagnostic.location is None and diagnostic.subject is not None:
        return f"{printable(diagnostic.subject)}: {headline}"
    return headline


def _shown_line(text: str, location: Location) -> tuple[str, str, int]:
    """Return the part of a line that is shown, what stands before the caret, and its width."""
    start = min(location.column - 1, len(text))
    stop = min(start + location.length, len(text))
    first, last = 0, len(text)
    if len(text) > MAX_SHOWN_LINE:
        first = max(0, min(start - MAX_SHOWN_LINE // 4, len(text) - MAX_SHOWN_LINE))
        last = first + MAX_SHOWN_LINE
        stop = min(stop, last)
    opening = "..." if first else ""
    closing = "..." if last < len(text) else ""
    before = "".join("\t" if char == "\t" else " " * _width(char) for char in text[first:start])
    width = sum(1 if char == "\t" else _width(char) for char in text[start:stop])
    shown = opening + printable(text[first:last]) + closing
    return shown, " " * len(opening) + before, max(1, width)


def _width(char: str) -> int:
    """Return the columns that a character takes in a terminal."""
    if char.isascii() and char.isprintable():
        return 1
    if not char.isprintable():
        return len(escape(char))
    import unicodedata

    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _json_of(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "headline": diagnostic.headline,
        "location": _json_location(diagnostic.location),
        "subject": diagnostic.subject,
        "source_line": diagnostic.source_line,
        "from": [
            {"label": origin.label, "location": _json_location(origin.location)}
            for origin in diagnostic.origins
        ],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }


def _json_location(location: Location | None) -> dict[str, Any] | None:
    if location is None:
        return None
    return {
        "path": location.path,
        "line": location.line,
        "column": location.column,
        "length": location.length,
    }


def _escape_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(value: object) -> str:
    return _escape_message(printable(str(value))).replace(":", "%3A").replace(",", "%2C")


def _sarif_result(diagnostic: Diagnostic, rule_index: int) -> dict[str, Any]:
    text = "\n".join([_plain_headline(diagnostic), *_detail_lines(diagnostic)])
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": diagnostic.severity,
        "message": {"text": text},
    }
    if diagnostic.location is not None:
        result["locations"] = [_sarif_location(diagnostic.location, diagnostic.source_line)]
    related = [
        {**_sarif_location(origin.location), "message": {"text": printable(origin.label)}}
        for origin in diagnostic.origins
        if origin.location is not None
    ]
    if related:
        result["relatedLocations"] = related
    return result


def _sarif_location(location: Location, source_line: str | None = None) -> dict[str, Any]:
    if location.path.startswith("--set["):
        return {"logicalLocations": [{"fullyQualifiedName": location.path}]}
    from urllib.parse import quote

    region: dict[str, Any] = {
        "startLine": location.line,
        "startColumn": location.column,
        "endColumn": location.column + location.length,
    }
    if source_line is not None:
        region["snippet"] = {"text": source_line}
    return {
        "physicalLocation": {"artifactLocation": {"uri": quote(location.path)}, "region": region}
    }
