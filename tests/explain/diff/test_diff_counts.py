"""Counts: headings count the rows below them, and text, HTML and JSON say the same."""

from __future__ import annotations

import html
import re

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.diff_pairs import SIDES, compiled, differ, tried
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.diff.difference import Difference, Experiment
from wavetwin.explain.diff.document import difference_document
from wavetwin.explain.diff.field_rows import declaration_rows
from wavetwin.explain.diff.fragment import difference_html, several_html
from wavetwin.explain.diff.layer_rows import SIGNS, layer_rows
from wavetwin.explain.diff.several import Several, several_document, several_text, table_sections
from wavetwin.explain.diff.text import difference_text


def block(text: str, head: str) -> list[str]:
    (found,) = [each for each in text.split("\n\n") if each.startswith(head)]
    return found.rstrip("\n").split("\n")


def told(line: str) -> int:
    """Return how many layers a row says that it stands for."""
    found = re.match(r"  [-+~] (?:\S+ +)?([\d,]+) layers?\b", line)
    return int(found[1].replace(",", "")) if found else 1


def check_declaration(difference: Difference, text: str, *, full: bool) -> None:
    head, *rows = block(text, "declaration")
    number = int(head.split()[1])
    assert number == len(difference.fields)
    assert number == len(difference_document(difference)["declaration"])
    shown = re.search(r"in (\d+) rows?", head)
    assert len(rows) == (int(shown[1]) if shown else number)
    assert sum(row.fields for row in declaration_rows(difference.fields, full=full)) == number


def check_layers(difference: Difference, text: str, *, full: bool) -> None:
    head, *lines = block(text, "model")
    document = difference_document(difference)["model"]
    if head == "model: the same layers, parameters and cost":
        assert not document["layers"]
        return
    kinds = dict.fromkeys(SIGNS, 0) | {
        kind: int(count.replace(",", "")) for count, kind in re.findall(r"(\d[\d,]*) (\w+)", head)
    }
    for sign in "+-~":
        named = [kind for kind, shown in SIGNS.items() if shown == sign]
        said = sum(kinds[kind] for kind in named)
        assert sum(map(told, (line for line in lines if line.startswith(f"  {sign} ")))) == said
        assert said == sum(layer["kind"] in named for layer in document["layers"])
    rows = layer_rows(difference.model, full=full)
    assert sum(row.layers for row in rows) == len(document["layers"])
    assert re.search(r"; (\d+) the same$", head)[1] == str(document["same_layers"])
    for attribute in ("parameters", "macs", "activation_bytes"):
        total = getattr(difference.model.after - difference.model.before, attribute)
        assert sum(getattr(row.cost, attribute) for row in rows) == total


def check_html(difference: Difference, text: str, *, full: bool) -> None:
    page = html.unescape(difference_html(difference, full=full))
    for head in ("declaration", "model"):
        title = block(text, head)[0].removeprefix(f"{head}: ")
        if "the same layers" not in title:
            assert f"{head.capitalize()}: {title}" in page
    spaced = " ".join(page.split())
    for note in difference.plan.notes:
        assert note in spaced
    assert ("a run of one is a run of the other" in text) == (
        "a run of one is a run of the other" in page
    )


def check(first: Compiled, second: Compiled) -> None:
    difference = differ(first, second)
    if difference.is_empty:
        return
    for full in (False, True):
        text = difference_text(difference, full=full)
        check_declaration(difference, text, full=full)
        check_layers(difference, text, full=full)
        check_html(difference, text, full=full)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(SIDES, SIDES, st.booleans())
def test_headings_count_the_rows_below_them(first: tuple, second: tuple, related: bool) -> None:
    ours, theirs = tried(*first), tried(first[0] if related else second[0], second[1])
    assume(ours is not None)
    assume(theirs is not None)
    assert ours is not None
    assert theirs is not None
    check(ours, theirs)


def test_an_evaluation_of_other_values_and_the_same_modes_says_so_in_every_form() -> None:
    entries = [f"evaluation=[{{mode: shifts, direction: {way}}}]" for way in ("vertical", "both")]
    check(*(compiled("cnn", entry) for entry in entries))
    difference = differ(*(compiled("cnn", entry) for entry in entries))
    assert "a run of one is a run of the other" in difference_html(difference)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(SIDES, min_size=3, max_size=4))
def test_the_table_of_several_shows_every_field_once(sides: list) -> None:
    found = [each for side in sides if (each := tried(*side)) is not None]
    assume(len(found) > 2)
    several = Several(tuple(Experiment(f"e{i}", each) for i, each in enumerate(found)))
    text, page = several_text(several), several_html(several)
    sections = {section.title: section.rows for section in table_sections(several)}
    rows = sections.get("declaration", ())
    counts = [re.search(r"\((\d+) fields\)$", row[0]) for row in rows]
    assert sum(int(each[1]) if each else 1 for each in counts) == len(several.fields)
    assert len(several_document(several)["fields"]) == len(several.fields)
    for title, members in sections.items():
        assert len(block(text, title)) == 1 + len(members)
        for row in members:
            assert f"<td>{html.escape(row[0])}" in page or html.escape(row[0]) in page
    assert ("no difference" in text) == several.is_empty == (not several.fields)
