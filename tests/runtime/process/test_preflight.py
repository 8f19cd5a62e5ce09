"""The preflight: each check, told in a line, before torch is imported."""

import fcntl
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import build, write_images, write_spec
from wavetwin.diagnostics import CompileError
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.starting_weights import StartingWeights
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.training import preflight
from wavetwin.runtime.training.preflight import run_preflight, run_status

Usage = namedtuple("Usage", "total used free")


class Built:
    """A built folder, its data, and what the preflight says of it."""

    def __init__(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = build(write_spec(project)).folder
        self.data = write_images(project / "data")
        self.parent = project / "runs/small"
        self._capsys = capsys
        digest = json.loads((self.folder / "plan.json").read_bytes())["training_digest"]
        self.run = self.parent / f"{digest[:8]}-s0"

    def ask(self, *options: str) -> tuple[int, dict[str, str]]:
        argv = options if "--data-root" in options else ("--data-root", str(self.data), *options)
        arguments = parse_arguments("", training=True, arguments=argv)
        code = run_preflight(self.folder, arguments)
        lines = self._capsys.readouterr().out.splitlines()
        return code, {line.split()[1]: line for line in lines}

    def write_run(self, **fields: Any) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")


@pytest.fixture
def built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Built:
    return Built(tmp_path / "a project", capsys)


def test_all_is_well(built: Built) -> None:
    code, lines = built.ask()
    assert code == 0
    assert list(lines) == ["build", "packages", "data", "run", "space"]
    assert all(line.startswith("ok ") for line in lines.values())
    assert str(built.run) in lines["run"]
    assert not built.parent.exists()


def test_what_is_not_as_built(built: Built) -> None:
    (built.folder / "train.py").write_text("mine\n", encoding="utf-8")
    code, lines = built.ask()
    assert code == 2
    assert lines["build"] == "fail  build      not as it was built: script-modified: train.py"
    code, lines = built.ask("--allow-drift")
    assert code == 0
    assert lines["build"].startswith("note")


def test_packages_that_own_code_imports_are_there_as_they_were(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metric is computed when the training is over: too late to find that its package is missing."""
    manifest = built.folder / "manifest.json"
    document = json.loads(manifest.read_bytes())
    document["versions"] |= {"torchmetrics": "0.1", "scikit_learn": None}
    manifest.write_text(json.dumps(document), encoding="utf-8")
    code, lines = built.ask()
    assert code == 0
    assert f"torchmetrics {metadata.version('torchmetrics')} (built with 0.1)" in lines["packages"]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name)
    )
    code, lines = built.ask()
    assert code == 2
    assert " has no scikit_learn; PYTHON" in lines["packages"]


def test_a_folder_that_is_not_whole(built: Built, tmp_path: Path) -> None:
    (built.folder / "plan.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="has no plan and graph"):
        built.ask()
    (built.folder / "manifest.json").unlink()
    with pytest.raises(CompileError, match="script-modified"):
        built.ask()


def test_packages(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "installed_versions", lambda names: {"torch": "0.1"})
    code, lines = built.ask()
    assert code == 0
    assert "torch 0.1 (built with " in lines["packages"]
    recorded = json.loads((built.folder / "manifest.json").read_bytes())["versions"]["torch"]
    monkeypatch.setattr(
        preflight,
        "installed_versions",
        lambda names: {"torch": recorded.partition("+")[0] + "+cu132"},
    )
    code, lines = built.ask()
    assert code == 0
    assert lines["packages"].startswith("note" if "+" in recorded else "ok ")
    monkeypatch.setattr(preflight, "_MODULES", {"safetensors": "no_such_package"})
    code, lines = built.ask()
    assert code == 2
    assert "has no safetensors" in lines["packages"]


def test_data(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, lines = built.ask("--data-root", str(tmp_path / "nowhere"))
    assert code == 2
    assert lines["data"].endswith(
        f"{tmp_path / 'nowhere'} has no train; `wavetwin data check` says how to get it"
    )
    monkeypatch.delenv("WAVETWIN_DATA", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    arguments = parse_arguments("", training=True, arguments=())
    assert run_preflight(built.folder, arguments) == 2
    (tmp_path / "wavetwin").mkdir()
    (tmp_path / "wavetwin/config.toml").write_text("data_root = 1\n", encoding="utf-8")
    assert run_preflight(built.folder, arguments) == 2
    monkeypatch.setenv("WAVETWIN_DATA", str(built.data))
    assert run_preflight(built.folder, arguments) == 0


@pytest.mark.parametrize("name", sorted(DATASETS.keys() - {"digits", "folder"}))
def test_where_each_data_set_lies(built: Built, name: str) -> None:
    plan = json.loads((built.folder / "plan.json").read_bytes())
    plan["data"]["dataset"] = name
    (built.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    root = built.data / "root"
    options = ("--allow-drift", "--data-root", str(root))
    code, lines = built.ask(*options)
    assert code == 2
    position = lines["data"].split(" has no ")[1].split(";")[0].split(" and no ")[0]
    (root / position).mkdir(parents=True)
    code, lines = built.ask(*options)
    assert code == 0
    assert f"{name} in {root / position}" in lines["data"]


def test_runs(built: Built) -> None:
    digest = json.loads((built.folder / "plan.json").read_bytes())["training_digest"]
    built.write_run(status="stopped", training_digest=digest)
    code, lines = built.ask()
    assert (code, lines["run"]) == (0, f"ok    run        resumes {built.run}")
    code, lines = built.ask("--new")
    assert code == 0
    assert lines["run"].endswith(", number 2")
    built.write_run(status="finished", training_digest=digest)
    code, lines = built.ask()
    assert code == 0
    assert "is finished; --new starts another run" in lines["run"]
    built.write_run(status="stopped", training_digest="another")
    code, lines = built.ask()
    assert code == 2
    assert "is of another training" in lines["run"]
    (built.run / "manifest.json").write_text("{", encoding="utf-8")
    code, lines = built.ask()
    assert code == 2
    assert "cannot be read" in lines["run"]


def test_a_locked_run(built: Built) -> None:
    built.write_run(status="running")
    lock = os.open(built.run / "lock", os.O_RDWR | os.O_CREAT)
    os.write(lock, b"process 7 on somewhere\n")
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        code, lines = built.ask()
        assert code == 2
        assert "another process trains in" in lines["run"]
        assert "(process 7 on somewhere)" in lines["run"]
    finally:
        os.close(lock)
    assert built.ask()[0] == 0


def test_a_runs_folder_that_cannot_be_written(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who runs the tests may be allowed to write everywhere.
    monkeypatch.setattr(preflight.os, "access", lambda path, mode: False)
    code, lines = built.ask()
    assert code == 2
    assert "cannot be written; --runs chooses another folder" in lines["run"]


def test_space(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = json.loads((built.folder / "graph.json").read_bytes())
    assert graph["nodes"]
    counts = preflight.ModuleGraph.from_json(graph).parameters
    # Weights and momentum of every parameter, in float32, three times; no snapshot in one epoch.
    needed = 3 * 4 * (2 * counts.trainable + counts.frozen + counts.buffers)
    for free, expected in ((needed, 2), (needed + 1, 0)):
        usage = Usage(0, 0, free)
        monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path, usage=usage: usage)
        code, lines = built.ask()
        assert code == expected, lines["space"]


def test_initial_weights(built: Built) -> None:
    plan = json.loads((built.folder / "plan.json").read_bytes())
    plan["initial_weights"] = {"checkpoint": "first.safetensors", "channels": [0, 1]}
    (built.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    code, lines = built.ask("--allow-drift")
    assert code == 2
    assert "first.safetensors is not there" in lines["weights"]
    (built.folder.parent.parent / "first.safetensors").touch()
    assert built.ask("--allow-drift")[0] == 0


def test_weights_to_start_from(built: Built) -> None:
    plan = json.loads((built.folder / "plan.json").read_bytes())
    digest = hashlib.sha256(b"weights").hexdigest()
    weights = StartingWeights(checkpoint="w.pth", sha256=digest)
    plan["weights"] = weights.to_json()
    (built.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    file = built.folder.parent.parent / "w.pth"
    code, lines = built.ask("--allow-drift")
    assert code == 2
    assert "w.pth, which cannot be read: No such file" in lines["weights"]
    file.write_bytes(b"others")
    code, lines = built.ask("--allow-drift")
    assert code == 2
    assert "is another file than this was built with" in lines["weights"]
    file.write_bytes(b"weights")
    code, lines = built.ask("--allow-drift")
    assert code == 0
    assert "the training starts from w.pth" in lines["weights"]


def test_status(built: Built) -> None:
    arguments = parse_arguments("", training=True, arguments=())
    assert run_status(built.folder, arguments) == "none"
    built.write_run(status="stopped")
    assert run_status(built.folder, arguments) == "stopped"


def test_as_a_command_without_torch(built: Built) -> None:
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_module('wavetwin.runtime.training.preflight', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert 'torch' not in sys.modules\n"
        "    raise\n"
    )
    argv = [sys.executable, "-c", code, str(built.folder), "--data-root", str(built.data)]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("ok    build")
    for argv, code, shown in (
        (["--status", str(built.folder)], 0, "none\n"),
        (["--status"], 2, ""),
    ):
        module = [sys.executable, "-m", "wavetwin.runtime.training.preflight", *argv]
        result = subprocess.run(module, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (code, shown)
