"""Pages: self-contained, escaped, legible."""

from __future__ import annotations

import ast
import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from tests.support.html_pages import Page
from tests.support.paths import ROOT
from wavetwin.explain.html import figure, fill, info, remark, render_page, table
from wavetwin.explain.pictures.colours import contrast
from wavetwin.provenance.package import imported_package

STYLE = (imported_package().templates / "pages/style.css").read_text(encoding="utf-8")
HOSTILE = "<script>alert('1')</script>&\""


def test_page_is_well_formed_and_escapes_what_is_text() -> None:
    rows = [[HOSTILE, "1"], ["link", Markup('<a href="#here">here</a>')], ["empty", ""]]
    body = table(HOSTILE, ["name", "value"], rows, row_classes=["added", "", "changed"])
    body += info([(HOSTILE, HOSTILE)]) + figure(Markup('<img src="data:," alt="a">'), HOSTILE)
    text = render_page(HOSTILE, body=Markup('<section id="here">{}</section>').format(body))
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


def test_only_markup_is_not_escaped_and_nothing_is_left_out() -> None:
    """A picture or a body that is plain text is shown as text; a value that is missing is a fault."""
    assert "<svg" not in figure("<svg onload=alert(1)>", "caption")  # pyright: ignore[reportArgumentType]
    assert "<script" not in render_page("title", body=HOSTILE)
    assert "<script" not in remark(HOSTILE)
    with pytest.raises(UndefinedError, match="'body' is undefined"):
        render_page("title")
    with pytest.raises(UndefinedError, match="'caption' was not provided"):
        fill("parts", "figure", Markup("<svg></svg>"))


def test_no_module_writes_html_itself() -> None:
    """Templates alone hold tags; of the pictures' kit, SVG and its list of marks."""
    found: list[str] = []
    for folder in ("explain", "commands"):
        for file in sorted((ROOT / "wavetwin" / folder).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
            docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            texts = [
                node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs
            ]
            found += [
                f"{file.relative_to(ROOT)}:{text.lineno}: {text.value}"
                for text in texts
                if file.parent.name != "pictures"
                and isinstance(text.value, str)
                and re.search(r"</\w+>|<\w+ [\w-]+=", text.value)
            ]
    assert found == []


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
