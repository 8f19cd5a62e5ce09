"""How a report is written: sections of tables and remarks, as Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from wavetwin.diagnostics.terminal import printable_lines
from wavetwin.explain.html import Html, table

__all__ = [
    "Part",
    "Section",
    "as_markdown",
    "part_html",
    "remarks_html",
    "section_html",
    "with_intervals",
]

_MOST_COLUMNS = 6
"""Runs of one table: more would be cut on paper."""


@dataclass(frozen=True)
class Section:
    """A heading with a table and remarks below; what is empty is left out."""

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    remarks: Sequence[str] = ()
    level: int = 2


@dataclass(frozen=True)
class Part:
    """A part of the HTML page: a heading of the second level, and HTML."""

    anchor: str
    title: str
    body: str


def as_markdown(sections: Sequence[Section]) -> str:
    """Return the sections as one Markdown text."""
    blocks: list[str] = []
    for section in sections:
        blocks.append(f"{'#' * section.level} {_one_line(section.title)}")
        if section.rows:
            rule = ["---"] + ["---:"] * (len(section.header) - 1)
            rows = [section.header, rule, *section.rows]
            blocks.append("\n".join(_markdown_row(row) for row in rows))
        if section.remarks:
            blocks.append("\n".join(f"- {_one_line(remark)}" for remark in section.remarks))
    return printable_lines("\n\n".join(blocks) + "\n")


def part_html(part: Part) -> str:
    """Return a part as HTML."""
    heading = f"<h2>{html.escape(part.title)}</h2>"
    return f'<section id="{part.anchor}">\n{heading}\n{part.body}\n</section>'


def section_html(section: Section, *, turned: bool = False, has_heading: bool = False) -> str:
    """Return the section's table and remarks as HTML, without its heading.

    Args:
        section: what is shown.
        turned: whether rows become columns, a few to a table: then a row is a figure and a column
            a run, which fits a phone and paper.
        has_heading: whether the title stands above already.
    """
    tables: list[str] = []
    if turned:
        for start in range(0, len(section.rows), _MOST_COLUMNS):
            columns = [section.header, *section.rows[start : start + _MOST_COLUMNS]]
            header, *rows = [list(row) for row in zip(*columns, strict=True)]
            end = start + len(header) - 1
            part = f", runs {start + 1} to {end}" if len(section.rows) > _MOST_COLUMNS else ""
            tables.append(table(section.title + part, ["", *header[1:]], with_intervals(rows)))
    elif section.rows:
        rows = with_intervals(section.rows)
        tables.append(table(section.title, section.header, rows, has_heading=has_heading))
    return "\n".join([*tables, remarks_html(section.remarks)])


def with_intervals(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows whose intervals, `[low, high]` at the end of a cell, are not broken by a line."""
    return [[_unbroken(cell) for cell in row] for row in rows]


def _unbroken(cell: str) -> str:
    if isinstance(cell, Html) or "[" not in cell or not cell.endswith("]"):
        return cell
    value, _, interval = cell.rpartition("[")
    return Html(f'{html.escape(value)}<span class="interval">[{html.escape(interval)}</span>')


def remarks_html(remarks: Sequence[str]) -> str:
    """Return remarks as a list, or nothing."""
    if not remarks:
        return ""
    items = "".join(f"<li>{html.escape(remark)}</li>" for remark in remarks)
    return f'<ul class="quiet">{items}</ul>'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"
