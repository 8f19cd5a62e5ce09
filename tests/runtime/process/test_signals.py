"""Training that is told to stop saves and goes on exactly; so does one whose output is gone."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run, run_here
from wavetwin.runtime.process.scripts import STOP_SIGNALS
from wavetwin.runtime.training.records import read_lines
from wavetwin.runtime.training.run_folder import RunFolder

PLAN = make_plan(evaluation=())
DRIVER = ROOT / "tests/support/killed.py"
OPTIONS = ("--device", "cpu", "--allow-drift")
STEP = 7
"""In the second of three epochs, of five steps each."""


def train(project: Path) -> int:
    folder = project / "generated" / PLAN.name
    if not folder.exists():
        build_folder(project, PLAN)
    return run_here(folder / "train.py", *OPTIONS)


def outcome(project: Path) -> tuple[bytes, list[dict[str, Any]]]:
    run = only_run(project)
    lines = read_lines(run / "metrics.jsonl")
    records = [{key: value for key, value in line.items() if key != "time"} for line in lines]
    return (run / "checkpoints/last/model.safetensors").read_bytes(), records


def sessions(project: Path) -> list[tuple[str, int]]:
    """How each session ended, after which step."""
    document = json.loads((only_run(project) / "manifest.json").read_text(encoding="utf-8"))
    return [(session["outcome"], session["last_step"]) for session in document["lives"]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, Any]]]:
    project = tmp_path_factory.mktemp("undisturbed")
    assert train(project) == 0
    return outcome(project)


@pytest.fixture
def heard() -> Iterator[None]:
    """A process that hears SIGHUP, whatever the tests were started with."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send_at_step(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    mark = RunFolder.mark_step

    def marked(self: RunFolder, step: int) -> None:
        mark(self, step)
        if step == STEP:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(RunFolder, "mark_step", marked)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_saves_and_training_goes_on_exactly(
    number: signal.Signals,
    undisturbed: tuple[bytes, list[dict[str, Any]]],
    heard: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    handlers = [signal.getsignal(each) for each in STOP_SIGNALS]
    with monkeypatch.context() as patch:
        send_at_step(patch, number)
        assert train(tmp_path) == 128 + number
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == handlers
    assert sessions(tmp_path) == [("stopped", STEP)]
    assert train(tmp_path) == 0
    assert sessions(tmp_path) == [("stopped", STEP), ("finished", 15)]
    assert outcome(tmp_path) == undisturbed


def test_what_saves_is_what_the_documentation_says():
    assert {number.name for number in STOP_SIGNALS} == {
        "SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2",
    }  # fmt: skip


@contextmanager
def stopped(project: Path, output: int, before: tuple[str, ...] = ()) -> Iterator[Any]:
    """A training in a process of its own that waits before step STEP; it ends with the block."""
    folder = build_folder(project, PLAN)
    command = [sys.executable, str(DRIVER), str(folder / "train.py"), "step:SIGSTOP", str(STEP)]
    process = subprocess.Popen(
        [*before, *command, *OPTIONS],
        env=os.environ | {"PYTHONWARNINGS": "ignore", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(output)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        yield process
    finally:
        process.kill()
        process.communicate()


def go_on(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Let the process run to its end; return its exit code and what it complains of."""
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_an_ignored_hangup_changes_nothing(
    undisturbed: tuple[bytes, list[dict[str, Any]]],
    heard: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """As nohup starts a command."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    send_at_step(monkeypatch, signal.SIGHUP)
    assert train(tmp_path) == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert sessions(tmp_path) == [("finished", 15)]
    assert outcome(tmp_path) == undisturbed


@pytest.mark.slow  # seconds of starting a process, for what the test before has of it
def test_nohup_leaves_a_closed_terminal_alone(
    undisturbed: tuple[bytes, list[dict[str, Any]]], tmp_path: Path
):
    null = os.open(os.devnull, os.O_WRONLY)
    with stopped(tmp_path, null, ("nohup",)) as process:
        process.send_signal(signal.SIGHUP)
        assert go_on(process)[0] == 0
    assert sessions(tmp_path) == [("finished", 15)]
    assert outcome(tmp_path) == undisturbed


@pytest.mark.parametrize("kind", ["pipe", pytest.param("terminal", marks=pytest.mark.slow)])
def test_lost_output_saves_and_training_goes_on_exactly(
    kind: str, undisturbed: tuple[bytes, list[dict[str, Any]]], tmp_path: Path
):
    """The reader of a pipe is gone, or a terminal that is not the process's own."""
    reader, writer = os.pipe() if kind == "pipe" else pty.openpty()
    with stopped(tmp_path, writer) as process:
        os.close(reader)
        code, errors = go_on(process)
    assert code == 141, errors
    assert "stopped: standard output cannot be written" in errors
    assert "Traceback" not in errors
    ((ended, step),) = sessions(tmp_path)
    # The end of the second epoch is the first thing to say.
    assert (ended, step) == ("stopped", 10)
    assert train(tmp_path) == 0
    assert outcome(tmp_path) == undisturbed
