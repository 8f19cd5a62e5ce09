"""Start a script on one node of a job, once for each of the node's processes.

Slurm's signals reach the task. A script is asked in the way that it hears: train.py saves on SIGUSR1,
evaluate.py ends by SIGTERM. torchrun passes SIGUSR1 on to nobody and would die of it, so that it
goes to the processes that torchrun has started.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from wavetwin.diagnostics.terminal import Parser
from wavetwin.runtime.process.errors import RunError

__all__ = ["NodeTask", "exit_code", "run_on_node"]


@dataclass(frozen=True, slots=True)
class NodeTask:
    """What one node of a job has to start."""

    script: str
    options: tuple[str, ...]
    stop_signal: int
    """What asks the script to stop."""
    nodes: int
    processes: int
    """On this node."""
    endpoint: str
    """Where the processes of all nodes meet, `host:port`."""
    meeting: str
    """Name of the meeting: another one for each step and each start of a job."""

    def arguments(self) -> list[str]:
        """Return the arguments that `read` takes back."""
        return [
            f"--stop-signal={self.stop_signal}",
            f"--nodes={self.nodes}",
            f"--processes={self.processes}",
            f"--endpoint={self.endpoint}",
            f"--meeting={self.meeting}",
            self.script,
            *self.options,
        ]

    @staticmethod
    def read(arguments: Sequence[str]) -> NodeTask:
        """Return the task that another process has written as arguments."""
        parser = Parser(description="start a script on this node of a job", allow_abbrev=False)
        for name in ("--stop-signal", "--nodes", "--processes"):
            parser.add_argument(name, type=int, required=True)
        parser.add_argument("--endpoint", required=True)
        parser.add_argument("--meeting", required=True)
        parser.add_argument("script")
        parser.add_argument("options", nargs=argparse.REMAINDER)
        values = parser.parse_args(list(arguments))
        return NodeTask(**{**vars(values), "options": tuple(values.options)})

    @property
    def needs_torchrun(self) -> bool:
        """Whether there are several processes on all nodes together."""
        return self.nodes > 1 or self.processes > 1

    def command(self, python: str) -> list[str]:
        """Return what is started on the node: the script itself, or torchrun with it."""
        torchrun = [
            *("-m", "torch.distributed.run"),
            *(f"--nnodes={self.nodes}", f"--nproc-per-node={self.processes}"),
            *("--rdzv-backend=c10d", f"--rdzv-endpoint={self.endpoint}"),
            *(f"--rdzv-id={self.meeting}", "--max-restarts=0"),
        ]
        launcher = torchrun if self.needs_torchrun else []
        return [python, "-u", *launcher, self.script, *self.options]


def run_on_node(arguments: Sequence[str]) -> int:
    """Start a node's processes, pass the job's signals on to them, and return their exit code.

    Raises:
        RunError: there are several nodes, and the first one's name does not resolve here.
    """
    task = NodeTask.read(arguments)
    if task.nodes > 1:
        _check_name(task.endpoint)
    early: list[int] = []
    # Ignored by what is started, too, until train.py listens; SIGTERM is not.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: early.append(number))
    child = subprocess.Popen(task.command(os.environ.get("PYTHON", "python")))

    def stop(number: int, frame: FrameType | None) -> None:
        through_torchrun = task.needs_torchrun and task.stop_signal == signal.SIGUSR1
        for pid in _children_of(child.pid) if through_torchrun else [child.pid]:
            _send(pid, task.stop_signal)

    def terminate(number: int, frame: FrameType | None) -> None:
        _send(child.pid, signal.SIGTERM)

    signal.signal(signal.SIGUSR1, stop)
    signal.signal(signal.SIGTERM, terminate)
    if early:
        child.terminate()
    return exit_code(child.wait())


def _check_name(endpoint: str) -> None:
    """Refuse a meeting point that this node cannot find; torchrun would wait for minutes.

    Raises:
        RunError: its name does not resolve here.
    """
    name, _, port = endpoint.rpartition(":")
    try:
        socket.getaddrinfo(name, int(port))
    except OSError as error:
        raise RunError(
            "launcher-incomplete",
            f"on {socket.gethostname()} the first node's name {name} has no address: {error.strerror}",
            "let names of nodes resolve on all of them (DNS or /etc/hosts), or train on one node",
        ) from error


def exit_code(returned: int) -> int:
    """Return the code of a process as a shell has it: 128 and the number of a deadly signal."""
    return returned if returned >= 0 else 128 - returned


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _children_of(parent: int) -> list[int]:
    """Return the processes that a process has started, as `/proc` has them."""
    found: list[int] = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # `pid (name) state parent ...`; the name may hold anything.
            fields = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(file.parent.name))
    return found
