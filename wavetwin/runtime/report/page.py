"""How a report is written: sections as Markdown and as HTML, curves as inline SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["COLOURS", "Curve", "Plot", "Section", "as_html", "as_markdown"]

_WIDTH, _HEIGHT, _MARGIN = 360, 180, 34
COLOURS = ("#1b6ca8", "#c8553d", "#3c7d3e", "#7a4fa3", "#8a6d1d", "#2a8c8c", "#a83279", "#555555")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .7rem;border-bottom:1px solid #ccc;"
    "text-align:right}th:first-child,td:first-child{text-align:left}svg{margin:0 1rem 1rem 0}"
)


@dataclass(frozen=True)
class Curve:
    """One line of a plot: (epoch, value) pairs."""

    points: Sequence[tuple[float, float]]
    colour: str
    is_dashed: bool = False


@dataclass(frozen=True)
class Plot:
    """Curves over the epochs, from zero."""

    title: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Section:
    """A heading with a table, plots (HTML only) and remarks below; what is empty is left out."""

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    remarks: Sequence[str] = ()
    colours: Sequence[str] = ()
    """Of the remarks, where they are the plots' legend."""
    plots: Sequence[Plot] = field(default_factory=tuple)
    level: int = 2


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
    return "\n\n".join(blocks) + "\n"


def as_html(title: str, sections: Sequence[Section]) -> str:
    """Return the sections as one HTML page that needs nothing else."""
    body = "\n".join(_html_section(section) for section in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        f"{body}\n</body></html>\n"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _html_section(section: Section) -> str:
    level = section.level
    parts = [f"<h{level}>{html.escape(section.title)}</h{level}>"]
    if section.rows:
        rows = [_html_row(section.header, "th"), *(_html_row(row, "td") for row in section.rows)]
        parts.append("<table>\n" + "\n".join(rows) + "\n</table>")
    drawn = "".join(_draw(plot) for plot in section.plots)
    if drawn:
        parts.append(f"<div>{drawn}</div>")
    if section.remarks:
        items = [html.escape(remark) for remark in section.remarks]
        colours = [f' style="color:{colour}"' for colour in section.colours]
        colours += [""] * (len(items) - len(colours))
        lines = [f"<li{colour}>{item}</li>" for colour, item in zip(colours, items, strict=True)]
        parts.append("<ul>" + "".join(lines) + "</ul>")
    return "\n".join(parts)


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _draw(plot: Plot) -> str:
    """Return a plot as SVG, or nothing where no curve has a point."""
    points = [point for curve in plot.curves for point in curve.points]
    if not points:
        return ""
    last, top = max(x for x, _ in points), max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> str:
        across = _MARGIN + (x - 1) / max(1, last - 1) * (_WIDTH - 2 * _MARGIN)
        return f"{across:.1f},{_HEIGHT - _MARGIN - y / top * (_HEIGHT - 2 * _MARGIN):.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{curve.colour}" stroke-width="1.5" '
        + ('stroke-dasharray="5 3" ' if curve.is_dashed else "")
        + f'points="{" ".join(place(x, y) for x, y in curve.points)}"/>'
        for curve in plot.curves
    )
    base, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" font-size="11">'
        f'<text x="{_MARGIN}" y="16">{html.escape(plot.title)}</text>'
        f'<path d="M{_MARGIN},{_MARGIN} V{base} H{right}" fill="none" stroke="#888"/>'
        f'<text x="2" y="{_MARGIN + 4}">{top:.3g}</text><text x="2" y="{base}">0</text>'
        f'<text x="{right - 24}" y="{base + 16}">{last:.0f} epochs</text>{lines}</svg>'
    )
