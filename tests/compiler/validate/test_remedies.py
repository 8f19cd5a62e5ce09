"""Remedies: the edit that a message offers is made, and the fault is gone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.commands.specs import check_specs
from wavetwin.diagnostics import CompileError, Diagnostic

CASES = ROOT / "tests" / "bad_specs"
EDIT = re.compile(r"did you mean '(?P<name>[\w.-]+)'\?|write (?P<text>.+?)(?:, without quotes)?")


def edit_of(help_text: str | None) -> str | None:
    """Return what a help says to write instead of what is underlined; None where it is no edit."""
    match = EDIT.fullmatch(help_text or "")
    text = None if match is None else match["name"] or match["text"]
    return None if text is None or " or " in text or " and a value" in text else text


def found_in(path: Path) -> tuple[Diagnostic, ...]:
    try:
        return check_specs([path]).diagnostics
    except CompileError as error:
        return error.diagnostics


def edited(line: str, diagnostic: Diagnostic, text: str) -> str:
    location = diagnostic.location
    assert location is not None
    start, stop = location.column - 1, location.column - 1 + location.length
    if diagnostic.code == "syntax-error" or ": " not in text or text.startswith("{"):
        return line[:start] + text + line[stop:]
    # a whole field: it replaces the one that is underlined, or the number before a comma
    key = text.partition(":")[0]
    begin = line.rindex(key, 0, stop)
    return line[:begin] + text + line[stop:]


def folders() -> list[str]:
    names: list[str] = []
    for folder in sorted(CASES.iterdir()):
        expected = folder / "expected.txt"
        helps = re.findall(r"^  help: (.*)$", expected.read_text(encoding="utf-8"), re.MULTILINE)
        if any(edit_of(each) for each in helps) and not (folder / "args").exists():
            names.append(folder.name)
    return names


@pytest.mark.parametrize("name", folders())
def test_a_remedy_that_is_an_edit_mends_its_fault(name: str, tmp_path: Path):
    project = tmp_path / "project"
    shutil.copytree(CASES / name, project)
    (project / ".wavetwin.toml").touch()
    path = project / "spec.yaml"
    before = path.read_text(encoding="utf-8")
    tried = 0
    for diagnostic in found_in(path):
        text = edit_of(diagnostic.help)
        location = diagnostic.location
        if text is None or location is None or location.path != "spec.yaml":
            continue
        lines = before.split("\n")
        lines[location.line - 1] = edited(lines[location.line - 1], diagnostic, text)
        path.write_text("\n".join(lines), encoding="utf-8")
        left = {(each.code, each.headline) for each in found_in(path)}
        assert (diagnostic.code, diagnostic.headline) not in left, (text, lines)
        tried += 1
    assert tried or name in {"file-not-found", "extends-not-found"}
