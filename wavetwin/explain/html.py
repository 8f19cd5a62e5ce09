"""Fill the HTML templates that reports, differences and studies are shown in.

They lie in `templates/pages/` and are filled with autoescape: a value is escaped unless it is
`Markup`, which only templates and the pictures of `wavetwin.explain.pictures` give. A document loads
nothing: no script, no font, no picture from elsewhere (a content security policy in it says so, too).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from wavetwin.diagnostics.terminal import printable_lines
from wavetwin.provenance.package import find_templates

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["figure", "fill", "info", "png", "remark", "render_page", "table"]


def render_page(title: str, page: str = "page", **values: object) -> str:
    """Return one HTML document that needs nothing else.

    It has the title as its only `<h1>`; what the page shows follows, its headings from `<h2>` on. The
    style fits 400 pixels and paper; every text of it has a contrast of 4.5 or more. Classes:

    - `div.scroll`: a box that scrolls sideways by itself, for wide tables and `<pre>`, and that a
      keyboard can reach;
    - `table.numbers`: a table whose first column holds text and the others numbers; plain
      `<table>`: text. `<td class="best">` stands out, `<td class="none">` is an empty cell;
    - `figure`, `figcaption`, and `div.pictures`, which sets figures side by side where there is
      room; an `<svg>` or `<img>` in a figure is never wider than the page;
    - `.added`, `.removed`, `.changed` (on `<tr>`, `<li>`, `<p>`, `<td>` or `<span>`): colour, a
      sign before the text (plus, minus, tilde) and a bar of its own kind, solid, double or dashed;
    - `p.note`, `p.warning`: remarks that stand out; `.quiet`: small and grey;
    - `dl.info`: names and values in two columns, below each other on a phone (`info`);
    - `ul.key`: what lines and markers stand for; `div.tiles`: small figures in rows;
    - `nav.contents`: a list of links; `code`, `pre`: break anywhere, so that digests fit;
    - `.unbroken`: not cut by the end of a page; `.unprinted`: on the screen only; `.unseen`: for
      screen readers only.

    Args:
        title: plain text.
        page: the template, without `.html.j2`.
        values: what it shows; of the template `page` the `body`.
    """
    document = _environment().get_template(f"{page}.html.j2").render(title=title, **values)
    # No markup of ours has a character that is not printable: what has is text of others.
    return printable_lines(document)


def fill(template: str, macro: str, *values: object) -> Markup:
    """Return what a macro of a template (named without `.html.j2`) makes of some values."""
    module = _environment().get_template(f"{template}.html.j2").module
    return getattr(module, macro)(*values)


def table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    kind: Literal["numbers", "text"] = "numbers",
    row_classes: Sequence[str] = (),
    has_heading: bool = False,
) -> Markup:
    """Return a table in a scrolling box.

    The first cell of a row heads it. Every row is as long as the header.

    Args:
        caption: above the table; the box's name, too.
        header: of the columns.
        rows: of cells; an empty one is shown as a dash.
        kind: class of the table.
        row_classes: a class for each row, such as `added`; empty: none.
        has_heading: whether the caption stands above already, as a heading: then it is not seen.
    """
    named = list(zip(row_classes or [""] * len(rows), rows, strict=True))
    return fill("parts", "table", caption, header, named, kind, has_heading)


def figure(picture: Markup, caption: str) -> Markup:
    """Return a figure: a picture (`<svg>`, `<img>`) with a caption.

    `picture` says for itself what it shows to those who cannot see it.
    """
    return fill("parts", "figure", picture, caption)


def png(base64: str, text: str, size: tuple[int, int] | None = None) -> Markup:
    """Return a PNG as an `<img>`, from its base64; `text` is for those who cannot see it."""
    return fill("parts", "png", base64, text, *(size or ()))


def info(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Return names and values as a list."""
    return fill("parts", "info", pairs)


def remark(text: str, kind: Literal["note", "warning"] = "note") -> Markup:
    """Return a remark that stands out."""
    return fill("parts", "remark", text, kind)


@functools.cache
def _environment() -> Environment:
    # Pages are written by few commands: the others do not wait for jinja2.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(find_templates(Path(__file__).resolve().parents[1]) / "pages"),
        undefined=StrictUndefined,
        autoescape=True,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
