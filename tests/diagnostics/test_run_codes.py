"""Faults at run time are diagnostics: every `RunError` has a code, and the table explains each."""

from __future__ import annotations

import ast
import copy
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.diagnostics import render_text
from wavetwin.diagnostics.codes import DESCRIPTIONS, RUN_CODES
from wavetwin.diagnostics.listing import list_some, some_lines
from wavetwin.runtime.process.errors import PartsError, RunError, with_remedy
from wavetwin.runtime.process.scripts import run_script

ERRORS = ROOT / "wavetwin/runtime/process/errors.py"
FUNCTIONS = {
    "write_code": ("disk-full", "cannot-write"),
    "missing_code": ("needs-torch", "package-missing"),
}
"""What gives a code by the system's error, or by what is missing: the codes it gives."""


@cache
def sources() -> tuple[tuple[Path, ast.Module], ...]:
    texts = [(file, file.read_text(encoding="utf-8")) for file in (ROOT / "wavetwin").rglob("*.py")]
    return tuple((file, ast.parse(text)) for file, text in texts if "RunError" in text)


def error_classes() -> set[str]:
    """Return `RunError` and the exceptions that are made of it."""
    names = {"RunError"}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and names & {
                base.id for base in node.bases if isinstance(base, ast.Name)
            }:
                names.add(node.name)
    return names


def given_codes() -> Iterator[tuple[str, ast.expr | None]]:
    """Yield each fault that the package makes: where, and what it gives as the code."""
    own_codes = {"PartsError", "WeightsError"}
    classes = error_classes() - own_codes
    for file, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or file == ERRORS:
                continue
            name = getattr(node.func, "id", "")
            if name in classes:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.args[0] if node.args else None


def test_every_fault_has_a_code_that_the_table_explains():
    used = {code for codes in FUNCTIONS.values() for code in codes}
    for location, code in given_codes():
        if isinstance(code, ast.Call):
            assert getattr(code.func, "id", "") in FUNCTIONS, location
            continue
        assert isinstance(code, ast.Constant), f"{location}: the code is not written there"
        assert code.value in DESCRIPTIONS, f"{location}: {code.value} is not explained"
        used.add(str(code.value))
    others = {"script-modified", "source-changed", "weights-do-not-fit", "unsupported-system"}
    assert set(RUN_CODES) - used <= others, "explained, and given to nothing"


def test_every_run_code_says_cause_and_cure():
    for code, text in RUN_CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert re.search(r"[^.]+\. [A-Z`-][^.]*", text), f"{code}: one sentence is the cure"
        assert text.endswith(".")


def test_the_docs_list_every_run_code():
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8").partition("## Codes")[2]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows == RUN_CODES


def is_sentence(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("headline", "remedy")


def test_no_message_is_made_by_comparing_another_one():
    """Nothing looks into the sentence of a fault to decide something: there is the code."""
    for file, tree in sources():
        for node in ast.walk(tree):
            looked_into: list[ast.expr] = []
            match node:
                case ast.Compare(left, [ast.Eq() | ast.NotEq()], [right]):
                    looked_into = [left, right]
                case ast.Compare(_, [ast.In() | ast.NotIn()], [right]):
                    looked_into = [right]
                case ast.Call(ast.Attribute(value)) | ast.Subscript(value):
                    looked_into = [value]
                case _:
                    pass
            assert not any(map(is_sentence, looked_into)), f"{file.relative_to(ROOT)}:{node.lineno}"


def test_a_fault_reads_like_a_diagnostic_of_the_compiler():
    error = RunError("image-damaged", "cannot be read", "fetch it", subject="a.png", notes=["x: y"])
    assert str(error) == "a.png cannot be read\n  x: y\n  help: fetch it"
    assert render_text(error.diagnostics) == (
        "a.png: error: image-damaged: cannot be read\n  x: y\n  help: fetch it\n"
    )
    # As processes send faults to each other.
    assert copy.copy(error).diagnostics == error.diagnostics
    (other,) = with_remedy(error, "leave it out").diagnostics
    assert (other.subject, other.help) == ("a.png", "leave it out")


def test_the_faults_of_several_parts_stay_apart():
    missing = RunError("data-set-missing", "is not there", "get it", subject="c")
    both = PartsError([("one crop", missing), ("shifts", RunError("not-finite", "no number"))])
    assert [(each.code, each.notes) for each in both.diagnostics] == [
        ("data-set-missing", ("in: one crop",)),
        ("not-finite", ("in: shifts",)),
    ]
    assert both.headline == "one crop: c is not there; shifts: no number"
    assert copy.copy(both).diagnostics == both.diagnostics


@pytest.mark.parametrize("arguments", [["--format", "json"], ["--format=json"]])
def test_a_script_gives_programs_their_form(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def main() -> int:
        sys.stdout.write("progress\n")
        raise RunError("device-missing", "no such device", "--device cpu")

    monkeypatch.setattr("sys.argv", ["train.py", "--device", "x", *arguments])
    monkeypatch.setattr("wavetwin.runtime.process.scripts.guard_messages", lambda: None)
    with pytest.raises(SystemExit) as stop:
        run_script(main)
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.err == "progress\n"
    (fault,) = json.loads(printed.out)["diagnostics"]
    assert (fault["code"], fault["help"]) == ("device-missing", "--device cpu")


def test_listings_are_bounded():
    assert list_some(map(str, range(8))) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert list_some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert list_some(["a\nb", "c"]) == "a\\nb, c"
    assert some_lines(map(str, range(8))) == list("01234567")
    assert some_lines(map(str, range(10))) == [*"01234567", "and 2 more"]
