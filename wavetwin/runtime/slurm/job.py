"""Train, then evaluate; where the time limit comes first, save and queue again.

`slurm.sh` starts it on the first node, and writes a line to its standard input for each signal that
Slurm sends: `time` (the time limit is near) or `term` (cancelled, preempted). The first one counts.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavetwin.diagnostics.terminal import complain
from wavetwin.provenance.package import imported_package
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.slurm.node import NodeTask, exit_code
from wavetwin.runtime.slurm.resources import array_refusal
from wavetwin.runtime.training.preflight import run_status

__all__ = ["Job", "Steps", "evaluation_options", "run_job", "training_options"]

TIME, TERM = "time", "term"
_GOES_ON = ("new", "running", "stopped", "finished")
"""Statuses of a run that another session can take up, or that has only its evaluation left."""
_FIRST_PORT, _PORTS = 20000, 20000


@dataclass(frozen=True, slots=True)
class Job:
    """The job that this process runs in, as Slurm's variables and the user's describe it."""

    number: str
    task: str | None = None
    """Of an array, as Slurm calls it: `12_3`. The number of one of its tasks is that of the array, too."""
    nodes: int = 1
    node_list: str = ""
    processes_per_node: int = 1
    cpus_per_task: str = "1"
    restarts: int = 0
    max_requeues: int = 50
    repeat_seconds: float = 10.0
    """Between two signals to a step that does not end."""

    @staticmethod
    def from_environment(variables: Mapping[str, str]) -> Job:
        """Read the variables.

        Raises:
            RunError: one that has to be a number is none.
        """

        def first(*names: str, default: str) -> str:
            return next((variables[name] for name in names if variables.get(name)), default)

        array = variables.get("SLURM_ARRAY_JOB_ID")
        try:
            return Job(
                number=str(int(variables.get("SLURM_JOB_ID", ""))),
                task=f"{array}_{variables.get('SLURM_ARRAY_TASK_ID', '')}" if array else None,
                nodes=int(first("SLURM_JOB_NUM_NODES", "SLURM_NNODES", default="1")),
                node_list=first("SLURM_JOB_NODELIST", default=""),
                processes_per_node=int(
                    first("PROCESSES_PER_NODE", "SLURM_GPUS_ON_NODE", default="1")
                ),
                cpus_per_task=first("SLURM_CPUS_PER_TASK", default="1"),
                restarts=int(first("SLURM_RESTART_COUNT", default="0")),
                max_requeues=int(first("MAX_REQUEUES", default="50")),
                repeat_seconds=float(first("REPEAT_SECONDS", default="10")),
            )
        except ValueError as error:
            raise RunError(
                "launcher-incomplete",
                f"a variable of the job is no number: {error}",
                "PROCESSES_PER_NODE, MAX_REQUEUES and REPEAT_SECONDS are numbers",
            ) from error

    def step_command(self, script: Path, options: Sequence[str], stop: int, step: int) -> list[str]:
        """Return the call of srun that starts a script on all nodes, a task each.

        Args:
            script: train.py or evaluate.py.
            options: its own.
            stop: the signal that asks it to stop.
            step: its number in the job, from 1: each meets at a port of its own.

        Raises:
            RunError: Slurm does not give the names of the nodes.
        """
        endpoint = "localhost:0"
        if self.nodes > 1:
            port = _FIRST_PORT + int(self.number) % _PORTS + step
            endpoint = f"{_first_host(self.node_list)}:{port}"
        task = NodeTask(
            script=str(script),
            options=tuple(options),
            stop_signal=stop,
            nodes=self.nodes,
            processes=self.processes_per_node,
            endpoint=endpoint,
            meeting=f"{self.number}-{self.restarts}-{script.name}",
        )
        return [
            *("srun", f"--nodes={self.nodes}", f"--ntasks={self.nodes}", "--ntasks-per-node=1"),
            f"--cpus-per-task={self.cpus_per_task}",
            # A node that ends late may still save: the others are not killed at once.
            *("--kill-on-bad-exit=0", "--wait=120"),
            # Until Python listens it would die of the signal.
            *("sh", "-c", "trap '' USR1; exec \"$@\"", "sh"),
            *(os.environ.get("PYTHON", "python"), *_this_program(), "node", *task.arguments()),
        ]


class Steps:
    """Runs the steps of a job one after the other, and passes on to them that they are to stop."""

    def __init__(self, requests: int, repeat_seconds: float) -> None:
        """Take lines from a file descriptor as requests to stop."""
        self.reason: str | None = None
        """Why the job is to stop, as the first request gave it; None while it is not."""
        self._requests: int | None = requests
        self._repeat_seconds = repeat_seconds

    def run(self, command: Sequence[str]) -> int | None:
        """Return a step's exit code; None where the job was to stop before it started."""
        while self._requests is not None and select.select([self._requests], [], [], 0)[0]:
            self._read_requests(self._requests)
        if self.reason is not None:
            return None
        step = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        ended, end = os.pipe()

        def wait() -> None:
            step.wait()
            os.close(end)

        threading.Thread(target=wait, daemon=True).start()
        try:
            while True:
                heard = [ended] if self._requests is None else [ended, self._requests]
                timeout = None if self.reason is None else self._repeat_seconds
                ready = select.select(heard, [], [], timeout)[0]
                if self._requests in ready:
                    self._read_requests(self._requests)
                if ended in ready:
                    return exit_code(step.wait())
                if self.reason is not None:
                    # Until it ends: a script that is still loading does not hear it.
                    step.send_signal(signal.SIGUSR1)
        finally:
            os.close(ended)

    def _read_requests(self, requests: int) -> None:
        lines = os.read(requests, 1 << 12).decode().split()
        if not lines:
            self._requests = None
        elif self.reason is None:
            self.reason = lines[0]


def run_job(folder: Path, options: Sequence[str]) -> int:
    """Train and evaluate as a job of Slurm; return its exit code.

    Args:
        folder: the built folder, or its frozen copy (then WAVETWIN_FROZEN names it).
        options: those of train.py.

    Raises:
        RunError: Slurm's variables or commands are not there, or it is a task of an array.
    """
    job = Job.from_environment(os.environ)
    if int(os.environ.get("SLURM_ARRAY_TASK_COUNT") or 1) > 1:
        raise array_refusal("sbatch --array")
    # SIGUSR1 stays ignored, by what is started as well. SIGTERM has a handler, so that it ends srun;
    # slurm.sh hears it, too, and says so in a line.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    steps = Steps(sys.stdin.fileno(), job.repeat_seconds)
    where: tuple[str, ...] = ()
    if os.environ.get("WAVETWIN_FROZEN"):
        where = ("--runs", str((folder.parent.parent / "runs").resolve()))
    training = [*where, *training_options(options, job.restarts)]
    arguments = parse_arguments("options of train.py", training=True, arguments=training)
    # Recorded: the run is repeated in the same way.
    os.environ["WAVETWIN_LAUNCHER"] = "slurm.sh"
    # How long torchrun waits for processes that it has asked to stop.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "110")

    code = steps.run(job.step_command(folder / "train.py", training, signal.SIGUSR1, 1))
    if steps.reason is not None:
        try:
            status = run_status(folder, arguments)
        except RunError as error:
            complain(f"slurm.sh: {error}\n")
            status = "unknown"
        event = "training was stopped" if code is not None else "stopped before training"
        complain(f"slurm.sh: {event}; the run is {status}\n")
        return _end(job, steps.reason, code, code is None or status in _GOES_ON)
    if code != 0 or arguments.until_epoch is not None:
        # A part of a training is not evaluated.
        assert code is not None
        return code
    evaluating = [*where, *evaluation_options(options)]
    code = steps.run(job.step_command(folder / "evaluate.py", evaluating, signal.SIGTERM, 2))
    if steps.reason is not None and code != 0:
        return _end(job, steps.reason, code, True)
    return code or 0


def training_options(options: Sequence[str], restarts: int) -> list[str]:
    """Return the options of train.py: a job that starts again resumes the run that it has started."""
    return [option for option in options if option != "--new" or restarts == 0]


def evaluation_options(options: Sequence[str]) -> list[str]:
    """Return those of train.py's options that evaluate.py has, too."""
    kept: list[str] = []
    skip = False
    for option in options:
        name, has_value, _ = option.partition("=")
        if skip:
            skip = False
        elif name.startswith("--checkpoint-"):
            skip = not has_value
        elif name not in ("--new", "--preflight"):
            kept.append(option)
    return kept


def _end(job: Job, reason: str, code: int | None, goes_on: bool) -> int:
    """Queue a job again that its time limit has stopped; return its exit code.

    What ends a job otherwise (scancel, preemption) is Slurm's affair.
    """
    stopped = 128 + signal.SIGTERM if code is None else code
    if reason != TIME or not goes_on:
        return stopped
    if job.restarts >= job.max_requeues:
        complain(
            f"slurm.sh: started again {job.restarts} times already (MAX_REQUEUES); not queued again\n"
        )
        return stopped
    complain("slurm.sh: queued again; it resumes\n")
    done = subprocess.run(["scontrol", "requeue", job.task or job.number], check=False)
    return 0 if done.returncode == 0 else stopped or done.returncode


def _first_host(node_list: str) -> str:
    done = subprocess.run(
        ["scontrol", "show", "hostnames", node_list], capture_output=True, text=True, check=False
    )
    names = done.stdout.split()
    if done.returncode != 0 or not names:
        raise RunError(
            "launcher-incomplete",
            "scontrol does not give the names of the nodes",
            done.stderr.strip(),
        )
    return names[0]


def _this_program() -> list[str]:
    """Return what an interpreter takes to start this package: its name, of a copy its path."""
    if imported_package().is_standalone:
        # By its source alone: nothing compares byte code with it.
        return ["-X", "pycache_prefix=/dev/null", str(Path(__file__).with_name("__main__.py"))]
    return ["-m", "wavetwin.runtime.slurm"]
