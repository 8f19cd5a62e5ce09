"""Write sections of tables and remarks as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from wavetwin.diagnostics.terminal import printable_lines
from wavetwin.explain.html import fill, table

__all__ = [
    "Part",
    "Section",
    "as_markdown",
    "headed_sections",
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
    """A part of the HTML page, under a heading of the second level."""

    anchor: str
    title: str
    body: Markup


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


def section_html(section: Section, *, turned: bool = False, has_heading: bool = False) -> Markup:
    """Return the section's table and remarks as HTML, without its heading.

    Args:
        section: what is shown.
        turned: whether rows become columns, a few to a table: then a row is a figure and a column
            a run, which fits a phone and paper.
        has_heading: whether the title stands above already.
    """
    tables: list[Markup] = []
    if turned:
        for start in range(0, len(section.rows), _MOST_COLUMNS):
            columns = [section.header, *section.rows[start : start + _MOST_COLUMNS]]
            header, *rows = [list(row) for row in zip(*columns, strict=True)]
            end = start + len(header) - 1
            runs = f", runs {start + 1} to {end}" if len(section.rows) > _MOST_COLUMNS else ""
            tables.append(table(section.title + runs, ["", *header[1:]], with_intervals(rows)))
    elif section.rows:
        rows = with_intervals(section.rows)
        tables.append(table(section.title, section.header, rows, has_heading=has_heading))
    return fill("report_parts", "section", tables, section.remarks)


def headed_sections(sections: Sequence[Section]) -> list[tuple[str, Markup]]:
    """Return the title of each section, and its table and remarks as HTML."""
    return [(section.title, section_html(section, has_heading=True)) for section in sections]


def with_intervals(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows whose intervals, `[low, high]` at the end of a cell, are not broken by a line."""
    return [[_unbroken(cell) for cell in row] for row in rows]


def _unbroken(cell: str) -> str:
    if isinstance(cell, Markup) or "[" not in cell or not cell.endswith("]"):
        return cell
    value, _, interval = cell.rpartition("[")
    return fill("report_parts", "interval", value, f"[{interval}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"
