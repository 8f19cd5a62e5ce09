"""Runs of --limit-batches are marked wherever they are shown, and compared only when asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.run_files import ONE_CROP, epoch, record, write_run
from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec

MARK = "trial (--limit-batches 3)"


@pytest.fixture(scope="module")
def spec() -> Compiled:
    return compile_spec(ROOT / "specs/digits/cnn.yaml")


def add(project: Path, compiled: Compiled, seed: int, error: float, **changes: Any) -> Path:
    ends = {"top1_error": [-2.0696057220423447e-09, 0.9]}
    return write_run(
        project / "runs",
        replace(compiled.plan, seed=seed),
        [record(ONE_CROP, {"top1_error": error, "top5_error": 0.0}, intervals=ends)],
        [epoch(1, 1.0, 0.5)],
        dump_spec(compiled.resolved),
        **changes,
    )


@pytest.fixture
def project(tmp_path: Path, spec: Compiled, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    add(tmp_path, spec, 0, 0.125)
    add(tmp_path, spec, 1, 0.25)
    add(tmp_path, spec, 0, 0.875, suffix="-limit3", limit_batches=3)
    (tmp_path / "runs/cnn/frozen/4f1c2ab").mkdir(parents=True)
    (tmp_path / "runs/cnn/notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *parts: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main([str(word) for word in parts])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def everything(project: Path) -> list[str]:
    """What a shell makes of runs/*/*."""
    return sorted(str(path.relative_to(project)) for path in project.glob("runs/*/*"))


def test_list_and_show_mark_a_trial(project: Path, capsys: pytest.CaptureFixture[str]):
    code, text, _ = run(capsys, "runs", "list")
    assert code == 0
    marked = [line for line in text.splitlines() if MARK in line]
    assert [line.split()[0] for line in marked] == [
        f"cnn/{path.name}" for path in (project / "runs/cnn").glob("*-limit3")
    ]
    _, shown, _ = run(capsys, "runs", "show", "runs/cnn/" + marked[0].split()[0].split("/")[1])
    assert MARK in shown
    _, document, _ = run(capsys, "runs", "list", "--json")
    assert sorted(each["limit_batches"] or 0 for each in json.loads(document)) == [0, 0, 3]


def test_runs_compare(project: Path, capsys: pytest.CaptureFixture[str]):
    parts = ["runs", "compare", *everything(project)]
    code, text, messages = run(capsys, *parts)
    assert code == 0
    assert f"-limit3: {MARK}; --trials takes it in" in text
    assert "0.8750" not in text
    assert "runs/cnn/frozen is no run" in messages
    assert "runs/cnn/notes.txt is no run" in messages
    _, document, _ = run(capsys, *parts, "--json")
    (left_out,) = json.loads(document)["left_out"]
    assert left_out.endswith(MARK)
    _, text, _ = run(capsys, *parts, "--trials")
    assert "0.8750" in text
    assert f"-limit3, {MARK}" in text.splitlines()[0]
    assert "left out" not in text


def test_too_few_whole_runs_to_compare(project: Path, capsys: pytest.CaptureFixture[str]):
    whole, _, trial = sorted((project / "runs/cnn").glob("*-s*"), key=lambda path: len(path.name))
    code, _, told = run(capsys, "runs", "compare", whole, trial)
    assert code == 2
    assert "take trials in with --trials" in told
    assert run(capsys, "runs", "compare", whole, trial, "--trials")[0] == 0


@pytest.mark.parametrize("file", ["report.html", "report.md"])
def test_report(file: str, project: Path, capsys: pytest.CaptureFixture[str]):
    parts = ["report", *everything(project), "-o", file]
    code, text, told = run(capsys, *parts)
    assert code == 0, told
    page = (project / file).read_text()
    for shown in (text, page):
        assert f"-limit3, {MARK})" in shown
        assert "--trials takes it in" in shown
        assert "cnn/frozen is no run" in shown
        assert "87.50%" not in shown
    assert run(capsys, *parts, "--trials")[0] == 0
    page = (project / file).read_text()
    assert "87.50%" in page
    assert MARK in page
    assert "--trials takes it in" not in page


def test_a_report_of_a_trial_alone_is_marked(project: Path, capsys: pytest.CaptureFixture[str]):
    (trial,) = project.glob("runs/cnn/*-limit3")
    code, text, _ = run(capsys, "report", trial, "-o", "one.md")
    assert code == 0
    assert "87.50%" in text
    assert f"; {MARK}" in text
    code, _, told = run(capsys, "report", trial, "--paired", "cnn", "cnn")
    assert (code, "--trials" in told) == (2, True)
    whole = next(path for path in project.glob("runs/cnn/*-s1"))
    code, _, told = run(capsys, "report", whole, "--baseline", trial)
    assert (code, "the baseline" in told) == (2, True)


def test_diff(project: Path, capsys: pytest.CaptureFixture[str]):
    (project / "runs/cnn/notes.txt").unlink()  # of a file, diff thinks that it is a spec
    parts = ["diff", *everything(project)]
    code, text, told = run(capsys, *parts, "--html", "diff.html")
    assert code in (0, 1), told
    for shown in (text, (project / "diff.html").read_text()):
        assert f"-limit3, {MARK}" in shown
        assert "--trials takes them in" in shown
        assert "is no spec, build, run or checkpoint" in shown
    assert "0.8750" not in text
    assert "0.8750" in run(capsys, *parts, "--trials")[1]
    whole, _, trial = sorted((project / "runs/cnn").glob("*-s*"), key=lambda path: len(path.name))
    _, document, _ = run(capsys, "diff", whole, trial, "--json")
    assert "--trials takes them in" in json.loads(document)["left_out"][0]
    _, document, _ = run(capsys, "diff", whole, trial, "--json", "--trials")
    assert "left_out" not in json.loads(document)


def test_no_negative_zero_is_printed(project: Path, capsys: pytest.CaptureFixture[str]):
    """Scores of before intervals of rates were kept in [0, 1]: -2e-9 was printed as -0.0000."""
    runs = sorted((project / "runs/cnn").glob("*-s*"), key=lambda path: len(path.name))[:2]
    for parts in (
        ["report", *runs, "-o", "a.html"],
        ["report", *runs, "-o", "a.md"],
        ["runs", "show", runs[0]],
        ["runs", "list"],
        ["runs", "compare", *runs],
        ["diff", *runs],
        ["diff", *runs, "--html", "b.html"],
    ):
        code, text, told = run(capsys, *parts)
        assert code in (0, 1), told
        assert "-0.0" not in text
    for page in ("a.html", "a.md", "b.html"):
        assert "-0.0" not in (project / page).read_text()
