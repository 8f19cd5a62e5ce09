"""Self-contained HTML pages: what reports, differences and studies are shown in.

One document, nothing loaded: no script, no font, no picture from elsewhere (a content security
policy in the page says so, too). Standard library only.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from wavetwin.diagnostics.terminal import printable_lines
from wavetwin.explain.page_style import STYLE

__all__ = ["Html", "as_html", "figure", "info", "render_page", "scroll_box", "table"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Html(str):
    """Text that is HTML already; what takes `str` or `Html` escapes the former alone."""

    __slots__ = ()


def render_page(title: str, body: str) -> str:
    """Return one HTML document that needs nothing else.

    It has the title as its only `<h1>`; the body (HTML) follows, its headings from `<h2>` on. The
    style fits 400 pixels and paper; every text of it has a contrast of 4.5 or more. Classes:

    - `div.scroll`: a box that scrolls sideways by itself, for wide tables and `<pre>`
      (`scroll_box` makes one that a keyboard can reach);
    - `table.numbers`: a table whose first column is of words and the others of numbers; plain
      `<table>`: of words. `<td class="best">` stands out, `<td class="none">` is an empty cell;
    - `figure`, `figcaption`, and `div.pictures`, which sets figures side by side where there is
      room; an `<svg>` or `<img>` in a figure is never wider than the page;
    - `.added`, `.removed`, `.changed` (on `<tr>`, `<li>`, `<p>`, `<td>` or `<span>`): colour, a
      sign before the text (plus, minus, tilde) and a bar of its own kind, solid, double or dashed;
    - `p.note`, `p.warning`: remarks that stand out; `.quiet`: small and grey;
    - `dl.facts`: names and values in two columns, below each other on a phone (`info`);
    - `ul.key`: what lines and markers stand for; `div.tiles`: small figures in rows;
    - `nav.contents`: a list of links; `code`, `pre`: break anywhere, so that digests fit;
    - `.unbroken`: not cut by the end of a page; `.unprinted`: on the screen only; `.unseen`: for
      screen readers only.

    Args:
        title: plain text.
        body: HTML; everything in it that comes from elsewhere is escaped by the caller.
    """
    # No markup of ours has a character that is not printable: what has is text of others.
    return printable_lines(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Without it, browsers would ask a server for one.
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{html.escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def as_html(text: str) -> str:
    """Return plain text escaped and `Html` as it is."""
    return text if isinstance(text, Html) else html.escape(text)


def scroll_box(content: str, name: str) -> str:
    """Return HTML in a box that scrolls sideways; `name` (plain text) is what a reader hears."""
    label = html.escape(name)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{content}</div>'


def table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    kind: str = "numbers",
    row_classes: Sequence[str] = (),
    has_heading: bool = False,
) -> str:
    """Return a table in a scrolling box; cells are escaped unless they are `Html`.

    The first cell of a row heads it. Every row is as long as the header.

    Args:
        caption: above the table; the box's name, too.
        header: of the columns.
        rows: of cells; an empty one is shown as a dash.
        kind: class of the table, `numbers` or `label`.
        row_classes: a class for each row, such as `added`; empty: none.
        has_heading: whether the caption stands above already, as a heading: then it is not seen.
    """
    classes = row_classes or [""] * len(rows)
    head = "".join(f'<th scope="col">{as_html(cell)}</th>' for cell in header)
    lines = [f"<tr{_class(name)}>{_row(row)}</tr>" for name, row in zip(classes, rows, strict=True)]
    body = "\n".join(lines)
    hidden = _class("unseen" * has_heading)
    return scroll_box(
        f'<table class="{kind}"><caption{hidden}><span>{as_html(caption)}</span></caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>",
        caption,
    )


def _class(name: str) -> str:
    return f' class="{html.escape(name)}"' if name else ""


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return f'<th scope="row">{as_html(first)}</th>' + "".join(
        f"<td>{as_html(cell)}</td>" if cell else '<td class="none">\N{EN DASH}</td>'
        for cell in others
    )


def figure(picture: str, caption: str) -> str:
    """Return a figure: HTML of a picture (`<svg>`, `<img>`) with a caption, escaped unless `Html`.

    `picture` says for itself what it shows to those who cannot see it.
    """
    return f"<figure>{picture}<figcaption>{as_html(caption)}</figcaption></figure>"


def info(pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a list; both are escaped unless they are `Html`."""
    items = "".join(f"<dt>{as_html(name)}</dt><dd>{as_html(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">{items}</dl>'
