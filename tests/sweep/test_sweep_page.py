"""What a sweep has found: the page with its pictures, and the winner as a spec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.html_pages import Page
from tests.sweep.test_course import ASHA, SPACE, TPE, FakeEngine, check, drive, project
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.sweep.page import sweep_page
from wavetwin.sweep.result_table import best_point

__all__ = ["project"]


@pytest.mark.parametrize("text", [ASHA, TPE], ids=["grid", "tpe"])
def test_the_page_has_a_line_and_a_dot_for_each_point(text: str, project: Path) -> None:
    checked = check(project, text)
    course, _ = drive(checked, FakeEngine(0), project / "runs")
    page = Page(sweep_page(checked, course))
    page.check()
    num_fields = len(checked.space.fields)
    scored = [each for each in course.points if each.outcome is not None]
    assert len(page.cells("Points")) == 5 * len(course.points)
    for each in scored:
        assert (each.point.label, "state") in page.cells("Points")
    for field in checked.space.fields:
        assert f"validation.loss over {field.path}" in page.text
    assert page.text.count("A line a point.") == 1
    source = sweep_page(checked, course)
    assert source.count("<figure") == 1 + num_fields
    # A dot shows its point's label where a reader points at it.
    assert source.count(f"<title>{scored[0].point.label}</title>") == num_fields


def test_a_sweep_without_results_has_a_page_without_pictures(project: Path) -> None:
    checked = check(project, ASHA)
    course = drive(checked, FakeEngine(0), project / "runs")[0]
    course.points.clear()
    text = sweep_page(checked, course)
    Page(text).check()
    assert "<figure" not in text


def test_show_writes_a_page(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = check(project, ASHA)
    drive(checked, FakeEngine(0), project / "runs")
    file = project / "page.html"
    command = ["sweep", "show", str(checked.file.path)]
    assert cli.main([*command, "--html", str(file)]) == 0
    assert "best  " in capsys.readouterr().out
    Page(file.read_text(encoding="utf-8")).check()
    assert cli.main(["sweep", str(checked.file.path), "--html", str(file)]) == 2


def test_the_winner_is_a_spec_that_says_where_it_came_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = check(project, f"{ASHA}seeds: [0, 1]\n")
    sweep = str(checked.file.path)
    assert cli.main(["new", "best", "--from", sweep]) == 2
    assert "no-winner: has no point that is trained to the end" in capsys.readouterr().err
    course, _ = drive(checked, FakeEngine(0), project / "runs")
    best = best_point(course)
    assert best is not None
    assert cli.main(["new", "best", "--from", sweep]) == 0
    file = project / "best.yaml"
    text = file.read_text(encoding="utf-8")
    assert f"# The best of 12 points of the sweep a.sweep.yaml: point {best.number}," in text
    assert "# validation.loss" in text
    assert "extends: cnn.yaml\n" in text
    compiled = compile_spec(file)
    assert compiled.training_digest == best.point.training_digest
    assert cli.main(["new", "more", "--from", sweep, "--set", "training.batch_size=32"]) == 0
    assert compile_spec(project / "more.yaml").plan.batch_size == 32


def test_a_winner_is_found_where_its_runs_are(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = check(project, SPACE)
    course, _ = drive(checked, FakeEngine(0), project / "elsewhere")
    command = ["new", "best", "--from", str(checked.file.path)]
    assert cli.main(command) == 2
    assert "runs that lie elsewhere: --runs DIR" in capsys.readouterr().err
    assert cli.main([*command, "--runs", str(project / "elsewhere")]) == 0
    best = best_point(course)
    assert best is not None
    assert compile_spec(project / "best.yaml").training_digest == best.point.training_digest
    base = str(project / "cnn.yaml")
    assert cli.main(["new", "child", "--from", base, "--runs", "elsewhere"]) == 2
    assert "--runs is of a sweep" in capsys.readouterr().err


def test_members_do_not_share_one_gpu_by_its_number(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is given a GPU of its own, which is the only one that it sees."""
    checked = check(project, ASHA)
    for device in (["--device", "cuda:1"], ["--device=cuda:1"]):
        assert cli.main(["sweep", str(checked.file.path), "--no-git", "--", *device]) == 2
        assert "help: CUDA_VISIBLE_DEVICES=1 wavetwin sweep" in capsys.readouterr().err
    assert not (project / "generated").exists()


@pytest.mark.parametrize("option", ["--limit-batches=2", "--new", "--runs", "--until-epoch"])
def test_options_that_would_train_other_runs_are_refused(
    option: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = check(project, ASHA)
    assert cli.main(["sweep", str(checked.file.path), "--no-git", "--", option]) == 2
    assert (
        f"{option}: error: bad-argument: is not for members of a sweep" in capsys.readouterr().err
    )
    assert not (project / "generated").exists()


def test_messages_as_a_document_have_standard_output_for_themselves(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = check(project, ASHA)
    drive(checked, FakeEngine(0), project / "runs")
    for command in (["sweep", "show"], ["sweep", "--check"]):
        assert cli.main([*command, str(checked.file.path), "--format", "json"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)["diagnostics"] == []
        assert "lr=0.1,momentum=0.5" in printed.err
