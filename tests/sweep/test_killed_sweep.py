"""A sweep of real trainings whose driver and one of whose workers are killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.small_sweep import epochs, outcomes, said, start, wait_for_epochs, write_project
from wavetwin.commands import cli


def workers(driver: int) -> list[int]:
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text(encoding="ascii")
    return [int(each) for each in children.split()]


def shown(project: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["sweep", "show", str(project / "a.sweep.yaml")]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_killed_sweep_ends_as_an_undisturbed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = write_project(tmp_path / "whole"), write_project(tmp_path / "killed")
    assert start(whole).wait() == 0
    driver = start(killed)
    wait_for_epochs(killed, 2, driver)
    driver.kill()
    driver.wait()
    driver = start(killed)
    wait_for_epochs(killed, 4, driver)
    victims = workers(driver.pid)
    assert victims
    for victim in victims:
        # All of them: one may be at its end.
        os.kill(victim, signal.SIGKILL)
    assert driver.wait() == 0
    assert epochs(killed) == epochs(whole)
    assert shown(killed, capsys) == shown(whole, capsys)
    assert "best  " in shown(killed, capsys)
    sessions = [
        session
        for file in killed.glob("runs/cnn/*/manifest.json")
        for session in json.loads(file.read_text(encoding="utf-8"))["lives"]
    ]
    assert {"killed", "stopped", "finished"} <= {*outcomes(killed)}
    # A step is done twice at most where a kill came between two states.
    total = sum(session["last_step"] - session["first_step"] + 1 for session in sessions)
    steps = sum(
        session["last_step"] - session["first_step"] + 1
        for file in whole.glob("runs/cnn/*/manifest.json")
        for session in json.loads(file.read_text(encoding="utf-8"))["lives"]
    )
    epoch_steps = steps // len(epochs(whole))
    assert steps <= total <= steps + 3 * epoch_steps
    before = epochs(killed)
    assert start(killed).wait() == 0
    assert epochs(killed) == before


@pytest.mark.slow
def test_a_sweep_stopped_by_a_signal_says_how_it_goes_on(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    driver = start(project)
    wait_for_epochs(project, 1, driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait() == 130
    assert "members have saved their states, and the same command goes on" in said(project)
    statuses = {
        json.loads(file.read_text(encoding="utf-8"))["status"]
        for file in project.glob("runs/cnn/*/manifest.json")
    }
    assert "running" not in statuses
