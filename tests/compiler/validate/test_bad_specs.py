"""One bad spec for each code that `wavetwin check` reports, with the whole text that it gives.

A case is a folder of `tests/bad_specs`, named after its code: `spec.yaml` and what it needs, `args`
(one argument a line) where it is not `spec.yaml`, and `expected.txt`: what is printed, then the
exit code. Files too large for the repository are written by `MADE`.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.lint import LINT_RULES
from wavetwin.compiler.parse.compose import MAX_PARENTS
from wavetwin.compiler.parse.tree import MAX_CHARACTERS
from wavetwin.diagnostics.codes import CHECK_CODES, DESCRIPTIONS

CASES = ROOT / "tests" / "bad_specs"


def make_large(folder: Path) -> None:
    filler = "# a comment that is long and says nothing at all\n" * (MAX_CHARACTERS // 40)
    (folder / "spec.yaml").write_text("wavetwin: 1\n" + filler, encoding="utf-8")


def make_parents(folder: Path) -> None:
    for number in range(MAX_PARENTS):
        text = "wavetwin: 1\n"
        if number < MAX_PARENTS - 1:
            text += f"extends: part{number + 1}.yaml\n"
        (folder / f"part{number}.yaml").write_text(text, encoding="utf-8")


MADE: dict[str, Callable[[Path], None]] = {
    "file-too-large": make_large,
    "too-many-parents": make_parents,
}
UNREACHABLE = {"file-unreadable"}
"""Depend on the file system's permissions: test_compose has them."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def run_case(code: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    shutil.copytree(CASES / code, folder)
    if not (folder / "pyproject.toml").exists():
        (folder / ".wavetwin.toml").touch()
    if code in MADE:
        MADE[code](folder)
    arguments = folder / "args"
    extra = arguments.read_text(encoding="utf-8").splitlines() if arguments.exists() else []
    before = Path.cwd()
    os.chdir(folder)
    try:
        exit_code = cli.main(["check", *(extra or ["spec.yaml"])])
    finally:
        os.chdir(before)
    printed = capsys.readouterr()
    text = (printed.out + printed.err).replace(str(folder), "PROJECT")
    return f"{text}exit code {exit_code}\n"


@pytest.mark.parametrize("code", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
def test_bad_spec_gives_the_expected_text(
    code: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    expected = (CASES / code / "expected.txt").read_text(encoding="utf-8")
    assert run_case(code, folder, capsys) == expected
    assert f" {code}: " in expected


def test_every_code_has_a_bad_spec():
    cases = {path.name for path in CASES.iterdir() if path.is_dir()}
    assert cases == {*CHECK_CODES, *LINT_RULES} - UNREACHABLE


def codes_in_source() -> set[str]:
    """Return the codes that the package gives to diagnostics."""
    makers = {"Diagnostic", "conflict", "error", "refuse", "report", "_abandon"}
    codes: set[str] = set()
    for path in (ROOT / "wavetwin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name not in makers:
                continue
            named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            for argument in (*node.args[:2], *named):
                if (
                    isinstance(argument, ast.Constant)
                    and isinstance(argument.value, str)
                    and re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", argument.value)
                ):
                    codes.add(argument.value)
                    break
    return codes


def test_every_code_in_the_source_is_registered():
    assert codes_in_source() <= set(DESCRIPTIONS)


def test_no_registered_code_is_left_over():
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("wavetwin", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".j2") and path.name != "codes.py"
    ]
    unused = {code for code in DESCRIPTIONS if not any(code in text for text in texts)}
    assert not unused
