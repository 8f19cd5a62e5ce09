"""A sweep of four points that trains in seconds, driven by the command as a user would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from wavetwin.compiler.sweep.members import check_sweep
from wavetwin.sweep.members import Member, Members

SWEEP = """
wavetwin_sweep: 1
base: cnn.yaml
space:
  training.optimizer.lr: {grid: [0.001, 0.01, 0.1]}
  training.optimizer.momentum: {grid: [0.0, 0.9]}
search: random
objective: validation.loss
budget: {points: 4, max_epochs: 4, grace_epochs: 1, reduction: 2}
scheduler: asha
parallel: 2
"""


def write_project(project: Path) -> Path:
    """Write a project with the sweep and its base."""
    project.mkdir()
    (project / ".wavetwin.toml").touch()
    base = "extends: wavetwin:digits/cnn.yaml\ntraining: {threads: 1}\n"
    (project / "cnn.yaml").write_text(base, encoding="utf-8")
    (project / "a.sweep.yaml").write_text(SWEEP, encoding="utf-8")
    return project


def start(
    project: Path,
    *options: str,
    python: Sequence[str] = (sys.executable,),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start the command; what it says is added to the file `said`."""
    command = [*python, "-m", "wavetwin", "sweep", "a.sweep.yaml", "--no-git", "--jobs", "2"]
    with (project / "said").open("ab") as said:
        return subprocess.Popen(
            [*command, *options, "--", "--device", "cpu"],
            cwd=project,
            stdout=said,
            stderr=said,
            env=environment,
            # A shell starts what it puts into the background with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def said(project: Path) -> str:
    """Return what the command has said so far."""
    return (project / "said").read_text(encoding="utf-8")


def epochs(project: Path) -> list[tuple[str, int, float]]:
    """Return every epoch that the runs have: run, number, validation loss."""
    found: list[tuple[str, int, float]] = []
    for file in sorted(project.glob("runs/cnn/*/metrics.jsonl")):
        for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            if line["kind"] == "epoch":
                found.append((file.parent.name, line["epoch"], line["validation"]["loss"]))
    return found


def outcomes(project: Path) -> list[str]:
    """Return how the sessions of all runs ended."""
    return [
        session["outcome"]
        for file in project.glob("runs/cnn/*/manifest.json")
        for session in json.loads(file.read_text(encoding="utf-8"))["lives"]
    ]


def wait_for_epochs(project: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the runs have so many epochs; the command has to go on meanwhile."""
    while len(epochs(project)) < count:
        assert process.poll() is None, said(project)
        time.sleep(0.05)


def members_of_three_seeds(project: Path, script: str, text: str) -> tuple[Member, ...]:
    """Return the members of a sweep of one point, whose script is another one: for tests of engines."""
    (project / ".wavetwin.toml").touch()
    (project / "cnn.yaml").write_text("extends: wavetwin:digits/cnn.yaml\n", encoding="utf-8")
    sweep = "wavetwin_sweep: 1\nbase: cnn.yaml\nobjective: validation.loss\nseeds: [0, 1, 2]\n"
    (project / "a.sweep.yaml").write_text(sweep, encoding="utf-8")
    (project / script).write_text(text, encoding="utf-8")
    checked = check_sweep(project / "a.sweep.yaml")
    return Members(checked).of(checked.points[0])
