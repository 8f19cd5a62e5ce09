"""Show the fields that differ as a table's rows, with list items folded where it shall be short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wavetwin.explain.diff.declaration import ABSENT, dotted
from wavetwin.explain.diff.difference import SourcedChange
from wavetwin.explain.diff.wording import value_text

MAX_ITEM = 80
"""Characters of a folded list item."""


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field that differs, or an item of a list that one spec has alone."""

    kind: str
    """`added`, `removed` or `changed`."""
    name: str
    value: str
    origins: tuple[str, ...]
    """What set it, of the sides that have it."""
    fields: int = 1
    """How many fields it shows."""


def declaration_rows(fields: Sequence[SourcedChange], *, full: bool = False) -> list[FieldRow]:
    """Return a row a field; in short, an item of a list that is added or removed is one row."""
    if full:
        return [_row(each, full=True) for each in fields]
    rows: list[FieldRow] = []
    for (kind, item), group in groupby(fields, key=_item):
        members = list(group)
        if item is None or len(members) == 1:
            rows += [_row(each) for each in members]
            continue
        parts = [
            f"{dotted(each.change.path[len(item) :])} {value_text(_value(each))}"
            for each in members
        ]
        text = ", ".join(parts)
        shown = text if len(text) <= MAX_ITEM else f"{text[: MAX_ITEM - 4]} ..."
        rows.append(FieldRow(kind, dotted(item), shown, _together(members), len(members)))
    return rows


def _item(sourced: SourcedChange) -> tuple[str, tuple[str | int, ...] | None]:
    """Return the list item that a field of one side alone lies in; None for any other field."""
    change = sourced.change
    depths = [depth for depth, part in enumerate(change.path, 1) if isinstance(part, int)]
    if change.kind == "changed" or not depths:
        return change.kind, None
    return change.kind, change.path[: depths[-1]]


def _row(sourced: SourcedChange, *, full: bool = False) -> FieldRow:
    change = sourced.change
    values = [
        value_text(value, full=full)
        for value in (change.before, change.after)
        if value is not ABSENT
    ]
    text = " -> ".join(values)
    if change.kind == "changed" and values[0] == values[1]:
        text += ", which differ further on (--full)"  # where both are cut
    return FieldRow(change.kind, change.name, text, _origins([sourced]))


def _origins(members: Sequence[SourcedChange]) -> tuple[str, ...]:
    return tuple(
        origin
        for each in members
        for origin in (each.before_origin, each.after_origin)
        if origin is not None
    )


def _together(members: Sequence[SourcedChange]) -> tuple[str, ...]:
    """Return what set the fields of one item, as one origin: each that is not a default, once."""
    origins = list(dict.fromkeys(_origins(members)))
    lines = [
        origin
        for origin in origins
        if origin != "default"
        and not any(re.search(rf"\({re.escape(origin)}\b", other) for other in origins)
    ]
    return (" and ".join(lines or origins),) if origins else ()


def _value(sourced: SourcedChange) -> Any:
    change = sourced.change
    return change.before if change.after is ABSENT else change.after
