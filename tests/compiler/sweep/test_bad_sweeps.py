"""One bad sweep for each code that `wavetwin sweep` reports, with the whole text that it gives.

A case is a folder of `tests/bad_sweeps`, named after its code: `a.sweep.yaml` and `expected.txt`: what is
printed, then the exit code. Codes of specs are among them where a sweep says them in its own way.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.diagnostics.codes import SWEEP_CODES

CASES = ROOT / "tests" / "bad_sweeps"
BASE = "extends: wavetwin:digits/cnn.yaml\n"


def run_case(code: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    shutil.copytree(CASES / code, folder)
    (folder / ".wavetwin.toml").touch()
    (folder / "cnn.yaml").write_text(BASE, encoding="utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        exit_code = cli.main(["sweep", "a.sweep.yaml", "--no-git"])
    finally:
        os.chdir(before)
    printed = capsys.readouterr()
    return f"{printed.out}{printed.err}exit code {exit_code}\n"


@pytest.mark.parametrize("code", sorted(path.name for path in CASES.iterdir()))
def test_bad_sweep_gives_the_expected_text(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = run_case(code, tmp_path / "project", capsys)
    assert text == (CASES / code / "expected.txt").read_text(encoding="utf-8")
    assert f" {code}: " in text
    assert text.endswith("exit code 2\n")
    assert not (tmp_path / "project" / "generated").exists()


def test_every_code_has_a_bad_sweep() -> None:
    assert set(SWEEP_CODES) <= {path.name for path in CASES.iterdir()}
