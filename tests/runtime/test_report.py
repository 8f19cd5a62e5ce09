"""The report of several runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from plans import ONE_CROP, make_plan, shifts
from scripted import build_folder, only_run, run_here

from wavetwin.runtime.errors import RunError
from wavetwin.runtime.report import report, summarise_scores, write_report


def trained(project: Path, name: str, **changes: object) -> Path:
    battery = (ONE_CROP, shifts("horizontal", "flip_rate"), shifts("diagonal", "kl_divergence"))
    folder = build_folder(project, make_plan(name=name, epochs=2, evaluation=battery, **changes))
    for script in ("train.py", "evaluate.py"):
        assert run_here(folder / script, "--device", "cpu", "--allow-drift") == 0
    return only_run(project)


def test_report_of_two_runs(tmp_path: Path):
    runs = [trained(tmp_path / "one", "cnn"), trained(tmp_path / "two", "twin", seed=8)]
    text = write_report(runs, tmp_path / "report/report.html")
    header, _, first, second = [line for line in text.splitlines() if line.startswith("|")]
    assert "top-1 error" in header
    assert "mean flip rate, horizontal to 3 px" in header
    assert "KL at the largest shift, diagonal to 3 px" in header
    assert first.startswith("| cnn (a1b2c3d4-s7) |")
    assert second.startswith("| twin (a1b2c3d4-s8) |")
    assert "| 1,594 | 3,150 | 2 |" in first
    assert "commit " + "c" * 40 in text
    assert (tmp_path / "report/report.md").read_text(encoding="utf-8") == text
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert page.count("<polyline") == 6
    assert not re.search(r"https?://|<script", page)
    assert write_report(runs, tmp_path / "again/report.html") == text == report(runs)
    assert (tmp_path / "again/report.html").read_text(encoding="utf-8") == page


def test_folder_that_is_no_run(tmp_path: Path):
    with pytest.raises(RunError, match="is not a run"):
        report([tmp_path])


def test_summary_of_scores():
    scores = {"flip_rate": {"1": 0.25}, "kl_divergence": [0.0, 0.5], "images": 3}
    assert summarise_scores(scores) == (
        "flip rate 1: 0.2500, kl divergence 0.0000 0.5000, images 3"
    )
