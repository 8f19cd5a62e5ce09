"""Pages: self-contained, escaped, legible."""

from __future__ import annotations

import re

import pytest

from tests.support.html_pages import Page
from wavetwin.explain.html import Html, figure, info, render_page, table
from wavetwin.explain.page_style import STYLE
from wavetwin.explain.pictures.colours import contrast

HOSTILE = "<script>alert('1')</script>&\""


def test_page_is_well_formed_and_escapes_what_is_text() -> None:
    rows = [[HOSTILE, "1"], ["link", Html('<a href="#here">here</a>')], ["empty", ""]]
    body = table(HOSTILE, ["name", "value"], rows, row_classes=["added", "", "changed"])
    body += info([(HOSTILE, HOSTILE)]) + figure('<img src="data:," alt="a">', HOSTILE)
    text = render_page(HOSTILE, f'<section id="here">{body}</section>')
    page = Page(text)
    page.check()
    assert page.headings == [HOSTILE]
    assert page.cells(HOSTILE) == {
        (HOSTILE, "value"): "1",
        ("link", "value"): "here",
        ("empty", "value"): "\N{EN DASH}",
    }
    assert page.text.count("alert") == 7
    assert '<tr class="added">' in text
    assert "Content-Security-Policy\" content=\"default-src 'none';" in text
    assert text.count("<h1>") == 1


def test_rows_are_as_long_as_the_header_of_classes() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        table("t", ["a", "b"], [["1", "2"], ["3", "4"]], row_classes=["added"])


def test_caption_may_be_for_screen_readers_only() -> None:
    assert '<caption class="unseen"><span>t</span></caption>' in table(
        "t", ["a"], [["1"]], has_heading=True
    )
    assert "<caption><span>t</span></caption>" in table("t", ["a"], [["1"]])


def test_style_loads_nothing_and_its_texts_are_legible() -> None:
    assert not re.search(r"url\(|@import|https?:", STYLE)
    names = dict(re.findall(r"--(\w+): (#\w{6})", STYLE))
    pairs = [(names["ink"], names["shade"]), (names["quiet"], names["paper"])]
    pairs += [(names["link"], names["paper"]), (names["ink"], "#fdf1e4")]
    found = re.findall(r"\.\w+ \{ background: (#\w{6}); color: (#\w{6});", STYLE)
    assert len(found) == 3
    for text, ground in [*pairs, *((text, ground) for ground, text in found)]:
        assert contrast(text, ground) >= 4.5
    assert STYLE.count("{") == STYLE.count("}")
