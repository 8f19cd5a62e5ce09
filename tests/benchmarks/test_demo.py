"""What the demo starts, in which order it shows it, and how it ends where a network fails."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import pytest

from tests.support.shipped import ROOT, compiled_once

demo = importlib.import_module("benchmarks.demo")


class Process:
    """Stands for a command: writes its arguments, and ends as it is told to."""

    codes: ClassVar[dict[str, int]] = {}
    started: ClassVar[list[Process]] = []

    def __init__(self, command: list[str], *, cwd: Any, stdout: Any, stderr: Any) -> None:
        assert cwd == ROOT
        assert stderr is None or stdout is not None
        self.arguments = command[1:]
        self.returncode: int | None = None
        self.was_stopped = False
        self.started.append(self)
        if hasattr(stdout, "write"):
            stdout.write(f"output of {self.arguments[2]}".encode())

    def wait(self) -> int:
        self.returncode = self.codes.get(self.arguments[2], 0)
        return self.returncode

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        self.was_stopped = True


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> type[Process]:
    monkeypatch.setattr(demo.subprocess, "Popen", Process)
    monkeypatch.setattr(demo, "write_crops", lambda folder: {"train": 2700, "test": 1440})
    monkeypatch.setattr(demo, "findings", lambda folders: (["table", *folders], ["It shows this."]))
    monkeypatch.setattr(Process, "codes", {})
    monkeypatch.setattr(Process, "started", [])
    return Process


def test_it_reports_what_it_has_trained(
    processes: type[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    demo.main()
    *runs, report = [each.arguments for each in processes.started]
    specs = [f"specs/demo/{name}.yaml" for name in ("demo_cnn", "demo_rmax", "demo_cmod")]
    assert runs == [
        ["run", "--allow-dirty", each, "--data-root", "runs/demo/data"] for each in specs
    ]
    compiled = [compiled_once(ROOT / each) for each in specs]
    assert all(each.plan.data.folder == "smeared_crops" for each in compiled)
    folders = [
        f"runs/{each.name}/{each.training_digest[:8]}-s{each.plan.seed}" for each in compiled
    ]
    output = ["--paired", "demo_cnn", "demo_cmod", "-o", "runs/demo/report.html"]
    assert report == ["report", *folders, *output]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "crops: 2,700 of 9 photographs to train and 1,440 of 4 photographs to"
    )
    shown = [line for line in lines if line.startswith("output of ")]
    assert shown == [f"output of {each}" for each in specs[1:]]
    assert lines[lines.index("table") :][:4] == ["table", *folders]
    assert "It shows this." in lines
    assert lines[-1] == "report: runs/demo/report.html"


def test_a_network_that_fails_stops_the_others(
    processes: type[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "codes", {"specs/demo/demo_rmax.yaml": 3})
    with pytest.raises(SystemExit) as stop:
        demo.main()
    assert stop.value.code == 3
    assert [each.was_stopped for each in processes.started] == [False, False, True]
