"""Engines as a user chooses them, and members as tasks of a stand-in for Ray.

The real Ray and the real Slurm are asked in `test_clusters`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.small_sweep import members_of_three_seeds
from wavetwin.commands import cli
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.engines import ENGINES, EngineOptions
from wavetwin.sweep.members import Member
from wavetwin.sweep.on_ray import RayEngine, train_member

SCRIPT = """
import signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
print(sys.argv[1:], flush=True)
while sys.argv[2] == "9":
    time.sleep(0.01)
sys.exit(int(sys.argv[2]))
"""


class CrashedError(Exception):
    pass


class FakeRay:
    """Runs a task when it is waited for; what a task raises comes with its result."""

    exceptions = SimpleNamespace(
        **dict.fromkeys(
            (
                "WorkerCrashedError",
                "NodeDiedError",
                "LocalRayletDiedError",
                "ObjectLostError",
                "OutOfMemoryError",
            ),
            CrashedError,
        )
    )

    def __init__(self, cpus: int = 4, failures: int = 0) -> None:
        self.cpus, self.failures = cpus, failures
        self.inits: list[dict[str, Any]] = []
        self.crashes = False

    def init(self, **options: Any) -> None:
        self.inits.append(options)
        if len(self.inits) <= self.failures:
            raise RuntimeError("The current node timed out during startup")

    def shutdown(self) -> None:
        pass

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def remote(self, **options: Any) -> Any:
        self.options = options

        def decorate(function: Any) -> Any:
            return SimpleNamespace(remote=lambda *arguments: (function, arguments))

        return decorate

    def wait(self, references: Sequence[Any], **_: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        return references, ()

    def get(self, reference: Any) -> int:
        if self.crashes:
            raise CrashedError
        function, arguments = reference
        return function(*arguments)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)  # pyright: ignore[reportArgumentType]
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return fake


@pytest.fixture
def members(tmp_path: Path) -> tuple[Member, ...]:
    return members_of_three_seeds(tmp_path, "train.py", SCRIPT)


def options(folder: Path, jobs: int | None = None, address: str | None = None) -> EngineOptions:
    return EngineOptions(folder / "a", ["--x"], 3, 2, True, jobs, ({}, {}), address)


def test_every_engine_is_in_the_docs() -> None:
    text = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    (heads,) = [line for line in text.splitlines() if line.startswith("| | local")]
    assert [cell.strip() for cell in heads.strip("|").split("|")][1:] == list(ENGINES)


def test_members_are_tasks_with_the_cores_of_their_threads(
    ray: FakeRay, members: tuple[Member, ...], tmp_path: Path
) -> None:
    engine = RayEngine(options(tmp_path))
    assert ray.options == {"num_cpus": 2, "num_gpus": 0, "max_retries": 0}
    assert ray.inits[0]["address"] == "local"
    assert ray.inits[0]["num_cpus"] == 4
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ("RAY_worker_niceness", "0") in os.environ.items()
    first, second, third = members
    engine.start(first, tmp_path, 3)
    assert engine.has_room
    engine.start(second, tmp_path, 0)
    assert not engine.has_room
    assert engine.running == [first, second]
    assert list(engine.ended()) == [(first, 3), (second, 0)]
    assert engine.log(first).read_text(encoding="utf-8") == "['--until-epoch', '3', '--x']\n"
    ray.crashes = True
    engine.start(third, tmp_path, 0)
    assert list(engine.ended()) == [(third, -9)]
    engine.stop()


def test_a_member_on_a_node_is_asked_to_save_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "train.py"), "--until-epoch", "9"]
    log, stop = tmp_path / "log", tmp_path / "stop"
    import threading

    def ask() -> None:
        while not log.exists() or not log.stat().st_size:
            time.sleep(0.01)
        stop.touch()

    threading.Thread(target=ask).start()
    assert train_member(command, str(log), str(stop)) == 128 + 15
    assert "saved" in log.read_text(encoding="utf-8")
    log.unlink()
    assert train_member(command, str(log), str(stop)) == 128 + 15
    assert not log.exists()


def test_a_ray_that_does_not_start_is_tried_twice_more_with_fixed_ports(
    ray: FakeRay,
    members: tuple[Member, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs = tmp_path / "ray/session_latest/logs"
    logs.mkdir(parents=True)
    (logs / "raylet.err").write_text("Check failed: a port\n", encoding="utf-8")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    tried: list[int] = []

    def start_node(engine: RayEngine, attempt: int) -> None:
        tried.append(attempt)
        if len(tried) < 2:
            raise TimeoutError("no node at port 20100")

    monkeypatch.setattr(RayEngine, "_start_node", start_node)
    ray.failures = 1
    RayEngine(options(tmp_path)).stop()
    assert tried == [1, 2]
    said = capsys.readouterr().err
    assert said.count("Ray has not started") == 2
    assert said.count("  Check failed: a port\n") == 2
    monkeypatch.setattr(RayEngine, "_start_node", lambda *_: ray.init())
    ray.inits.clear()
    ray.failures = 9
    with pytest.raises(RunError, match="Ray does not start here, 3 times"):
        RayEngine(options(tmp_path))
    with pytest.raises(RunError, match="there is no Ray at host:1: The current node timed out"):
        RayEngine(options(tmp_path, address="host:1"))


def test_a_cluster_without_room_for_a_member_is_refused(
    ray: FakeRay, members: tuple[Member, ...], tmp_path: Path
) -> None:
    ray.cpus = 1
    with pytest.raises(RunError, match="no member fits into this Ray: it has 1 CPUs"):
        RayEngine(options(tmp_path))


def test_what_an_engine_lacks_is_said(
    members: tuple[Member, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    sweep = [str(tmp_path / "a.sweep.yaml"), "--no-git"]
    assert cli.main(["sweep", *sweep, "--engine", "ray"]) == 2
    assert "pip install 'wavetwin[sweep-ray]', or choose --engine local" in capsys.readouterr().err
    assert cli.main(["sweep", *sweep, "--address", "host:1"]) == 2
    assert "--engine local takes no --address" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="there is no sbatch here"):
        ENGINES["slurm"].make(options(tmp_path))
