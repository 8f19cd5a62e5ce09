"""What a sweep costs: the table of members, and a timed step."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from wavetwin.commands import cli
from wavetwin.compiler.sweep.members import check_sweep
from wavetwin.sweep.estimate import StepCost, epochs_of, expected_epochs, time_steps
from wavetwin.sweep.member_table import duration, member_table, size_text
from wavetwin.sweep.timed_step import time_step

SWEEP = """
wavetwin_sweep: 1
base: cnn.yaml
space:
  training.optimizer.lr: {grid: [0.0316, 0.1, 0.316, 1.0]}
  stem.free_channels: {int: [8, 9]}
objective: validation.top1_error
seeds: [0, 1]
budget: {max_epochs: 10, grace_epochs: 2, reduction: 2}
scheduler: asha
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "cnn.yaml").write_text("extends: wavetwin:digits/cnn.yaml\n", encoding="utf-8")
    (tmp_path / "a.sweep.yaml").write_text(SWEEP, encoding="utf-8")
    return tmp_path / "a.sweep.yaml"


def test_the_command_lists_members(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", str(file), "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ("a: 8 points of cnn.yaml by validation.top1_error, 2 seeds: 16 members")
    assert lines[2].endswith("milestones after 2, 4, 8, 10 epochs")
    assert lines[4].split() == ["point", "of", "the", "base", "parameters", "MACs", "epochs"]
    assert lines[5].split()[1] == "lr=0.0316,free_channels=8"
    assert lines[13] == ""
    assert lines[14].startswith("epochs    160 ")


def test_epochs_are_those_that_milestones_leave(file: Path) -> None:
    checked = check_sweep(file)
    assert epochs_of(checked) == 160
    # Eight points have 2 epochs, four 2 more, two 4 more, one the last 2; two seeds each.
    assert expected_epochs(checked) == 2 * (8 * 2 + 4 * 2 + 2 * 4 + 1 * 2)


def test_points_of_different_lengths_are_summed_each_with_its_own(file: Path) -> None:
    text = SWEEP.replace("max_epochs: 10, ", "")
    text = text.replace("stem.free_channels: {int: [8, 9]}", "training.epochs: {grid: [5, 9]}")
    file.write_text(text, encoding="utf-8")
    checked = check_sweep(file)
    assert epochs_of(checked) == 2 * 4 * (5 + 9)
    assert expected_epochs(checked) is None
    assert "; milestones of the longest points after 2, 4, 8, 9 epochs\n" in member_table(checked)


def test_time_and_disk_are_summed_over_members(file: Path) -> None:
    checked = check_sweep(file)
    cost = StepCost(seconds=0.1, state_bytes=3_000_000, weight_bytes=1_000_000)
    steps = checked.points[0].plan.iterations_per_epoch
    assert steps is not None
    table = member_table(checked, {each.training_digest: cost for each in checked.points}, jobs=2)
    assert f"time      {duration(16 * 10 * steps * 0.1 / 2)} of training steps to the end" in table
    kept = 16 * (3 + 1 + 10 // checked.points[0].plan.checkpoint_every)
    assert f"disk      {kept} MB of states" in table
    unknown = member_table(checked, {each.training_digest: None for each in checked.points})
    assert "time      not known: of own layers" in unknown


def test_a_step_is_timed_on_the_network_of_the_plan(file: Path) -> None:
    point = check_sweep(file).points[0]
    measured = time_step(point.graph, point.plan, torch.device("cpu"))
    assert measured is not None
    assert measured["seconds"] > 0
    counts = point.graph.parameters
    assert measured["weights"] >= 4 * (counts.trainable + counts.frozen)
    momenta = 4 * counts.trainable
    assert measured["bytes"] == measured["weights"] + momenta


def test_steps_that_are_alike_are_timed_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[Any]] = []

    def answer(command: object, *, input: str, **_: object) -> SimpleNamespace:
        asked.append(json.loads(input))
        one = {"seconds": 1.0, "bytes": 2.0, "weights": 1.0}
        return SimpleNamespace(returncode=0, stdout=json.dumps([one for _ in asked[-1]]))

    monkeypatch.setattr("wavetwin.sweep.estimate.subprocess.run", answer)
    for varied, count in (
        ("stem.free_channels: {int: [8, 9]}", 2),
        ("training.kernels: {choices: [torch, native]}", 2),
        ("training.optimizer.momentum: {grid: [0.5, 0.9]}", 1),
    ):
        text = SWEEP.replace("stem.free_channels: {int: [8, 9]}", varied)
        file.write_text(text.replace("base: cnn.yaml", "base: twin.yaml"), encoding="utf-8")
        twin = "extends: wavetwin:digits/twin_mod.yaml\n"
        file.with_name("twin.yaml").write_text(twin, encoding="utf-8")
        checked = check_sweep(file)
        costs = time_steps(checked.points)
        assert len(asked[-1]) == count, varied
        assert costs.keys() == {each.training_digest for each in checked.points}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h 00 min"), (7 * 86400, "7.0 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [size_text(each) for each in (5, 1500, 2.5e6, 3e9, 4e13)] == [
        "5 B",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
        "40.0 TB",
    ]
