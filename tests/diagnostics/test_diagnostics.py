"""Diagnostics as text, JSON, workflow commands and SARIF."""

from __future__ import annotations

import json
import re

from wavetwin.diagnostics import (
    CompileError,
    Diagnostic,
    Location,
    Origin,
    render_github,
    render_json,
    render_sarif,
    render_text,
)

CONFLICT = Diagnostic(
    "channels-do-not-add-up",
    "the stem gives 56 channels, alexnet's first layer has 64",
    Location("specs/my twin.yaml", 12, 5, 4),
    origins=(
        Origin("stem.free_channels 32", Location("specs/base/alexnet.yaml", 4, 18, 2)),
        Origin("stem.stride 4", None),
    ),
    notes=("files: a, b",),
    help="set free_channels to 40",
    source_line="    keep: 100%",
)
BARE = Diagnostic("no-specs", "there is no spec", severity="warning", subject="my: folder")
OVERRIDE = Diagnostic("wrong-type", "x", Location("--set[1]", 1, 3), "note", source_line="a=b")


def test_text_has_the_form_that_the_decisions_give():
    assert (
        render_text([CONFLICT, BARE, OVERRIDE])
        == """\
specs/my twin.yaml:12:5: error: channels-do-not-add-up: the stem gives 56 channels, \
alexnet's first layer has 64
  12 |     keep: 100%
     |     ^^^^
  from: stem.free_channels 32 (specs/base/alexnet.yaml:4), stem.stride 4 (default)
  files: a, b
  help: set free_channels to 40

my: folder: warning: no-specs: there is no spec

--set[1]:1:3: note: wrong-type: x
  1 | a=b
    |   ^
"""
    )
    assert render_text([]) == ""


def caret(line: str, column: int, length: int = 1) -> tuple[str, str]:
    location = Location("a.yaml", 1, column, length)
    lines = render_text([Diagnostic("c", "h", location, source_line=line)]).splitlines()
    return lines[1].removeprefix("  1 | "), lines[2].removeprefix("    | ")


def test_the_caret_stands_under_the_token():
    assert caret("\tkey: value", 7, 5) == ("\tkey: value", "\t     ^^^^^")
    assert caret("名前: 値だ", 5, 2) == ("名前: 値だ", "      ^^^^")
    assert caret("e\u0301: x", 5) == ("e\u0301: x", "   ^")
    assert caret("key:", 5) == ("key:", "    ^")
    assert caret("", 1, 9) == ("  1 |", "^")


def test_characters_that_a_terminal_acts_on_are_escaped():
    shown, mark = caret("a: \x1b[2J\u202eb", 8, 1)
    assert shown == "a: \\x1b[2J\\u202eb"
    assert mark == "   " + " " * 7 + "^^^^^^"
    diagnostic = Diagnostic("c", "a\nb\x07", subject="x\x1by", help="z\r")
    assert render_text([diagnostic]) == "x\\x1by: error: c: a\\nb\\x07\n  help: z\\r\n"


def test_long_lines_are_cut_around_the_place():
    shown, mark = caret("x" * 500 + "HERE" + "y" * 500, 501, 4)
    assert len(shown) < 180
    assert shown.startswith("...")
    assert shown.endswith("...")
    assert shown[mark.index("^") : mark.index("^") + 4] == "HERE"
    shown, mark = caret("z" * 500, 1, 500)
    assert len(mark) <= len(shown)


def test_colour_is_only_added():
    coloured = render_text([CONFLICT], colour=True)
    assert "\x1b[1;31merror:\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text([CONFLICT])


def test_json_has_the_same_data():
    document = json.loads(render_json([CONFLICT, BARE]))
    assert document["version"] == 1
    first, second = document["diagnostics"]
    assert first["location"] == {"path": "specs/my twin.yaml", "line": 12, "column": 5, "length": 4}
    assert first["from"][1] == {"label": "stem.stride 4", "location": None}
    assert second["location"] is None
    assert second["subject"] == "my: folder"


def test_workflow_commands_are_escaped():
    conflict, bare, note = render_github([CONFLICT, BARE, OVERRIDE]).splitlines()
    assert conflict.startswith(
        "::error file=specs/my twin.yaml,line=12,col=5,endColumn=8,title=channels-do-not-add-up::"
    )
    assert "%0Afrom: stem.free_channels 32" in conflict
    assert bare == "::warning title=no-specs::my: folder: there is no spec"
    assert note.startswith("::notice ")
    tricky = Diagnostic("c", "50%\nx", Location("a,b:c%", 1, 1))
    assert render_github([tricky]) == (
        "::error file=a%2Cb%3Ac%25,line=1,col=1,endColumn=1,title=c::50%25\\nx\n"
    )


def test_sarif_names_rules_and_places():
    log = json.loads(render_sarif([CONFLICT, BARE, OVERRIDE], "1.2.3"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["channels-do-not-add-up", "no-specs", "wrong-type"]
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    conflict, bare, note = run["results"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    location = conflict["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "specs/my%20twin.yaml"
    assert location["region"] == {
        "startLine": 12,
        "startColumn": 5,
        "endColumn": 9,
        "snippet": {"text": "    keep: 100%"},
    }
    assert len(conflict["relatedLocations"]) == 1
    assert "locations" not in bare
    assert note["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "--set[1]"}]}]


def test_the_error_tells_its_diagnostics():
    assert "specs/my twin.yaml:12:5: channels" in str(CompileError([CONFLICT]))
