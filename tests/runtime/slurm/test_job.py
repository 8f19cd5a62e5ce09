"""The parts of a job that need no Slurm: its variables, options and steps."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.slurm.job import Job, Steps, evaluation_options, training_options
from wavetwin.runtime.slurm.node import NodeTask

STEP = """
import signal, sys, time
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
print("ready", flush=True)
while len(heard) < 3:
    time.sleep(0.01)
# While Python ends it hears no signal any more: the next one would be its end.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
sys.exit(7)
"""


def test_a_job_reads_its_variables() -> None:
    slurm = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "3", "SLURM_GPUS_ON_NODE": "4"}
    assert Job.from_environment(slurm) == Job("7", nodes=3, processes_per_node=4)
    own = {"PROCESSES_PER_NODE": "2", "MAX_REQUEUES": "5", "REPEAT_SECONDS": "0.5"}
    job = Job.from_environment(slurm | own | {"SLURM_RESTART_COUNT": "1"})
    assert (job.processes_per_node, job.restarts) == (2, 1)
    assert (job.max_requeues, job.repeat_seconds) == (5, 0.5)
    assert job.task is None
    task = Job.from_environment(slurm | {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"})
    assert task.task == "7_3"
    for wrong in ({"PROCESSES_PER_NODE": "two"}, {"SLURM_JOB_ID": ""}):
        with pytest.raises(RunError, match="a variable of the job is no number"):
            Job.from_environment(slurm | wrong)


def test_options_are_divided_among_the_scripts() -> None:
    given = ["--new", "--device=cpu", "--checkpoint-steps", "5", "--checkpoint-seconds=1", "--runs"]
    assert training_options(given, 0) == given
    assert training_options(given, 1) == given[1:]
    assert evaluation_options([*given, "--preflight", "x y"]) == ["--device=cpu", "--runs", "x y"]


def test_a_task_is_read_back_from_its_arguments() -> None:
    task = NodeTask("a b.py", ("--new", "--", "-x"), signal.SIGTERM, 2, 4, "first:20008", "7-0-a")
    assert NodeTask.read(task.arguments()) == task


def test_the_signal_is_repeated_until_a_step_ends(tmp_path: Path) -> None:
    requests, request = os.pipe()
    steps = Steps(requests, repeat_seconds=0.05)
    ready = tmp_path / "ready"
    os.mkfifo(ready)

    def ask() -> None:
        with ready.open(encoding="utf-8") as lines:
            lines.readline()
        os.write(request, b"time\n")
        os.write(request, b"term\n")
        os.close(request)

    threading.Thread(target=ask, daemon=True).start()
    code = steps.run(["sh", "-c", 'exec "$0" -c "$1" > "$2"', sys.executable, STEP, str(ready)])
    assert (code, steps.reason) == (7, "time")
    assert steps.run(["false"]) is None


def test_a_request_before_a_step_lets_none_start(tmp_path: Path) -> None:
    requests, request = os.pipe()
    steps, started = Steps(requests, repeat_seconds=1.0), tmp_path / "started"
    assert steps.run(["sh", "-c", "exit 3"]) == 3
    os.write(request, b"term\n")
    assert steps.run(["touch", str(started)]) is None
    assert (steps.reason, started.exists()) == ("term", False)
