"""Jobs on a real Slurm of two nodes: stopped, queued again, cancelled, on two nodes, without GPUs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.scripted import only_run
from tests.support.two_node_slurm import two_node_slurm, what_is_missing
from wavetwin.commands import cli
from wavetwin.runtime.training.records import read_epochs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]

SPEC = """
extends: wavetwin:digits/twin_mod.yaml
name: small
training: {{threads: 1, epochs: {epochs}}}
evaluation: [{{mode: one_crop}}]
"""
SECONDS = 600
"""Longer than any job here takes, on a machine that others use."""
REQUEUES = 6
CREDENTIAL_SECONDS = 2
"""A job's credential is revoked by the second: one that starts again in the same is refused, and fails."""


def build(project: Path, epochs: int) -> Path:
    project.mkdir()
    (project / ".wavetwin.toml").touch()
    (project / "small.yaml").write_text(SPEC.format(epochs=epochs), encoding="utf-8")
    assert cli.main(["build", str(project / "small.yaml"), "--no-git"]) == 0
    return project / "generated/small"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Mapping[str, str]]:
    with two_node_slurm() as variables:
        yield {**variables, "PYTHON": sys.executable, "REPEAT_SECONDS": "1"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of an undisturbed training."""
    folder = build(tmp_path_factory.mktemp("whole") / "project", 12)
    subprocess.run([sys.executable, str(folder / "train.py"), "--device", "cpu"], check=True)
    return only_run(folder.parents[1])


class Job:
    """A job that slurm.sh has queued."""

    def __init__(self, folder: Path, slurm: Mapping[str, str], *options: str, **more: str) -> None:
        self.slurm = {**slurm, **more}
        self.project = folder.parents[1]
        done = subprocess.run(
            ["bash", str(folder / "slurm.sh"), "--device", "cpu", *options],
            cwd=self.project,
            env=self.slurm,
            capture_output=True,
            text=True,
            check=False,
        )
        self.submitted = done.stdout + done.stderr
        found = re.search(r"Submitted batch job (\d+)", done.stdout)
        assert found, self.submitted
        self.number = found[1]

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.slurm, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        return done.stdout

    def field(self, name: str) -> str:
        shown = self.call("scontrol", "show", "job", self.number)
        found = re.search(rf"\b{name}=(\S+)", shown)
        return found[1] if found else ""

    def wait_for(self, condition: str, function: Callable[[], object]) -> None:
        """Wait until a function returns something true; a job that waits after a requeue starts now."""
        deadline = time.monotonic() + SECONDS
        while not function():
            assert time.monotonic() < deadline, f"{condition}: {self.log()}"
            if self.field("JobState") == "PENDING" and self.field("Reason") == "BeginTime":
                time.sleep(CREDENTIAL_SECONDS)
                self.call("scontrol", "update", f"JobId={self.number}", "StartTime=now")
            time.sleep(0.2)

    def wait(self) -> str:
        """Wait for its end; return its state. A job that is queued again has failed for a moment."""
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")

        def has_ended() -> bool:
            for _ in range(4):
                if self.field("JobState") not in over:
                    return False
                time.sleep(0.5)
            return True

        self.wait_for("end", has_ended)
        return self.field("JobState")

    def log(self) -> str:
        files = sorted(self.project.glob(f"**/slurm-{self.number}.out"))
        return "".join(file.read_text(encoding="utf-8") for file in files)

    def epochs(self) -> int:
        files = list(self.project.glob("runs/small/*/metrics.jsonl"))
        return sum(1 for file in files for _ in read_epochs(file))


def weights(run: Path) -> str:
    return hashlib.sha256((run / "checkpoints/last/model.safetensors").read_bytes()).hexdigest()


def losses(run: Path) -> list[object]:
    return [record["train"] for record in read_epochs(run / "metrics.jsonl")]


def test_six_requeues_end_with_the_weights_of_an_undisturbed_run(
    whole: Path, slurm: Mapping[str, str], tmp_path: Path
) -> None:
    """The signal is the one that Slurm sends before a time limit: SIGUSR1, to the batch shell alone."""
    job = Job(build(tmp_path / "project", 12), slurm)
    for number in range(REQUEUES):
        job.wait_for("an epoch more", lambda least=number + 1: job.epochs() >= least)
        job.call("scancel", "--signal=USR1", "--batch", job.number)
        job.wait_for("a requeue", lambda least=number + 1: int(job.field("Restarts")) >= least)
    assert job.wait() == "COMPLETED", job.log()
    assert int(job.field("Restarts")) == REQUEUES
    assert job.log().count("queued again; it resumes") == REQUEUES
    run = only_run(job.project)
    assert weights(run) == weights(whole)
    assert losses(run) == losses(whole)
    assert json.loads((run / "scores.json").read_text("utf-8"))["scores"]


def test_a_time_limit_queues_the_job_again(slurm: Mapping[str, str], tmp_path: Path) -> None:
    """Slurm itself sends the signal, up to a minute early: long before this training's end."""
    job = Job(build(tmp_path / "project", 400), slurm, SBATCH_OPTIONS="--time=1 --signal=B:USR1@50")
    job.wait_for("a requeue", lambda: int(job.field("Restarts") or 0) >= 1)
    job.call("scancel", job.number)
    job.wait()
    assert "queued again; it resumes" in job.log()
    assert "the run is stopped" in job.log() or "the run is new" in job.log()


def test_a_signal_while_the_script_loads_is_not_lost(
    whole: Path, slurm: Mapping[str, str], tmp_path: Path
) -> None:
    job = Job(build(tmp_path / "project", 12), slurm)
    job.wait_for("a start", lambda: job.field("JobState") == "RUNNING")
    job.call("scancel", "--signal=USR1", "--batch", job.number)
    job.wait_for("a requeue", lambda: int(job.field("Restarts") or 0) >= 1)
    assert job.wait() == "COMPLETED", job.log()
    assert weights(only_run(job.project)) == weights(whole)


def test_a_cancelled_job_saves_and_is_not_queued_again(
    slurm: Mapping[str, str], tmp_path: Path
) -> None:
    job = Job(build(tmp_path / "project", 400), slurm)
    job.wait_for("an epoch", lambda: job.epochs() >= 1)
    job.call("scancel", job.number)
    assert job.wait() == "CANCELLED"
    run = only_run(job.project)
    job.wait_for("the end of the training", lambda: _status(run) == "stopped")
    assert job.field("Restarts") == "0"
    assert (run / "checkpoints/last/state.pt").is_file()


def _status(run: Path) -> str:
    return json.loads((run / "manifest.json").read_text("utf-8"))["status"]


def test_two_nodes_train_together(whole: Path, slurm: Mapping[str, str], tmp_path: Path) -> None:
    """Where the nodes' names do not resolve, as on most machines that play two, the job says so."""
    job = Job(build(tmp_path / "project", 12), slurm, SBATCH_OPTIONS="--nodes=2")
    state = job.wait()
    if _resolves("n1"):
        assert state == "COMPLETED", job.log()
        run = only_run(job.project)
        session = json.loads((run / "manifest.json").read_text("utf-8"))["lives"][-1]
        assert session["machine"]["nodes"] == 2
        assert len(losses(run)) == len(losses(whole))
    else:
        assert state == "FAILED", job.log()
        assert "the first node's name n1 has no address" in job.log()
        assert "DNS or /etc/hosts" in job.log()


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 1)
    except OSError:
        return False
    return True


def test_an_array_of_one_run_is_refused(slurm: Mapping[str, str], tmp_path: Path) -> None:
    folder = build(tmp_path / "project", 3)
    with pytest.raises(AssertionError, match="every task of an array would train the same run"):
        Job(folder, slurm, SBATCH_OPTIONS="--array=0-2")
    # Past slurm.sh, which checks on the login node.
    done = subprocess.run(
        ["sbatch", "--parsable", "--wait", "--array=0-1", "--gpus-per-node=0", "slurm.sh"],
        cwd=folder,
        env=dict(slurm),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode != 0
    logs = [file.read_text("utf-8") for file in folder.glob("slurm-*.out")]
    assert len(logs) == 2
    assert all("every task of an array would train the same run" in log for log in logs)
    assert not list(tmp_path.glob("project/runs/small/*/metrics.jsonl"))


def test_where_there_are_no_gpus_none_is_asked_for(
    slurm: Mapping[str, str], tmp_path: Path
) -> None:
    """`--device` is not given here: what sinfo says decides."""
    folder = build(tmp_path / "project", 3)
    done = subprocess.run(
        ["bash", str(folder / "slurm.sh")],
        cwd=folder.parents[1],
        env=os.environ | dict(slurm),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Submitted batch job" in done.stdout
