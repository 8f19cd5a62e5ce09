"""Write tables as CSV: UTF-8, a header, commas, one line a row; safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from wavetwin.diagnostics.terminal import printable

__all__ = ["Cell", "csv_text"]

Cell = str | int | float | None
"""None is an empty cell."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text that begins so."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table as CSV, lines ending in a line feed.

    Texts are made printable; one that a spreadsheet would take for a formula has an apostrophe before it,
    which spreadsheets show or hide and never run. Numbers have as many digits as tell them from all
    others.

    Args:
        header: of the columns.
        rows: as long as the header.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([_safe(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue()


def _safe(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
