"""Keep arrays of held tasks in Slurm's queue, and see how each task stands.

An array is written down before it is queued, under the name that its jobs have: whoever comes after a
crash finds it, and queues nothing twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavetwin.files.atomic import write_file
from wavetwin.files.json_form import check_form
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.errors import RunError

__all__ = ["POLL_SECONDS", "SlurmQueue", "Task", "TaskState", "parse_states"]

POLL_SECONDS = 3.0
"""Between two looks at the queue: a controller serves many users."""
_PATIENCE_SECONDS = 300
"""For tasks that save and end."""
_RECORD = "arrays.json"
_COLUMNS = "JobArrayID:40,State:24,exit_code:12,Reason:40"
"""The reason is last: it may be a sentence, and fill its column."""
_OF_SLURM = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT")
"""Variables by which its commands find a controller: all others that begin so are of a job."""
_FORGOTTEN = "Invalid job id"
_HELD = (["JobHeldUser"], ["JobHeldAdmin"])
_ENDED = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"),
    *("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"),
)
"""Whatever else a version of Slurm says, the task may still train."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the queue says of a task."""

    name: str
    is_held: bool = False
    status: int = 0
    """As wait(2) has it."""

    @property
    def phase(self) -> Literal["held", "live", "ended"]:
        """Whether it waits for its release, waits or runs, or has ended."""
        if self.is_held:
            return "held"
        return "ended" if self.name in _ENDED else "live"

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has ended it."""
        return self.name == "CANCELLED"

    @property
    def code(self) -> int:
        """Return the exit code of a task that has ended; negative for a signal."""
        if self.name == "COMPLETED":
            return 0
        code = os.waitstatus_to_exitcode(self.status)
        # Ended by the time limit, with its node or for its memory: no result of the training.
        return code if self.name == "FAILED" and code else -signal.SIGKILL


@dataclass
class _Array:
    """An array that is queued, or was to be."""

    name: str
    """Of its jobs, too: nobody else's are called so."""
    count: int
    job: str | None
    """Its number; None: sbatch was not heard to the end."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of an array."""

    job: str
    index: int
    file: Path
    """What it reads when it starts; not there: it has nothing to do yet."""

    @property
    def text(self) -> str:
        """How Slurm calls it."""
        return f"{self.job}_{self.index}"


def parse_states(text: str) -> dict[str, TaskState]:
    """Return what `squeue` prints, by the number of the array and of the task: `12_3`.

    Raises:
        ValueError: a line is not of the columns that were asked for.
    """
    found: dict[str, TaskState] = {}
    for line in text.splitlines():
        name, state, status, *reason = line.split()
        held = state == "PENDING" and reason[:1] in _HELD
        found[name] = TaskState(state, held, int(status))
    return found


class SlurmQueue:
    """The arrays of a sweep, in a folder that has a file for each task."""

    def __init__(self, folder: Path, name: str) -> None:
        """Find what an earlier session has queued.

        Args:
            folder: of the records, which all nodes see.
            name: what the names of arrays begin with.

        Raises:
            RunError: the record is damaged, or Slurm does not answer.
        """
        self._folder, self._name = folder, name
        self._looked = 0.0
        self.states: dict[str, TaskState] = {}
        """Of all tasks that Slurm knows, by their names, as of the last look."""
        self._arrays = self._read_record()
        self._find_unheard()
        self.look(now=True, must=True)
        live = {text.partition("_")[0] for text, each in self.states.items() if _is_left(each)}
        self._arrays = [each for each in self._arrays if each.job in live]

    @property
    def num_left(self) -> int:
        """Tasks that have not ended."""
        return sum(map(_is_left, self.states.values()))

    @property
    def _jobs(self) -> list[str]:
        """The numbers of the arrays."""
        return [each.job for each in self._arrays if each.job is not None]

    @property
    def tasks(self) -> list[Task]:
        """All tasks that Slurm knows."""
        return [
            task
            for array in self._arrays
            if array.job is not None
            for index in range(array.count)
            if (task := Task(array.job, index, self._folder / array.name / str(index))).text
            in self.states
        ]

    def add(self, count: int, script: str, options: Sequence[str]) -> None:
        """Queue an array of held tasks.

        Args:
            count: of tasks.
            script: what each runs, with the folder of the tasks' files as its argument.
            options: of sbatch.

        Raises:
            RunError: Slurm refuses.
        """
        array = _Array(f"{self._name}-{uuid.uuid4().hex[:8]}", count, None)
        folder = self._folder / array.name
        folder.mkdir(parents=True)
        write_file(folder / "task.sh", script)
        self._arrays.append(array)
        self._write_record()
        # The name is how an array is found again, whatever else its jobs are to be called.
        named = [f"--output={folder}/%a.out", *options, f"--job-name={array.name}"]
        command = ["sbatch", "--parsable", "--hold", "--export=ALL", *named]
        done = _run([*command, str(folder / "task.sh"), str(folder)])
        if done.returncode:
            # Written down it stays: whether it was queued all the same is seen at the next start.
            self._arrays.remove(array)
            raise RunError(
                "launcher-incomplete",
                f"sbatch refuses the array: {done.stderr.strip()}",
                "SBATCH_OPTIONS has options that win over those of slurm.sh, as --gpus-per-node=0",
            )
        array.job = done.stdout.strip().partition(";")[0]
        self._write_record()
        self.look(now=True, must=True)

    def release(self, task: Task) -> None:
        """Let a held task run.

        Raises:
            RunError: Slurm refuses.
        """
        _call("scontrol", "release", task.text)
        self.states[task.text] = TaskState("PENDING")

    def look(self, now: bool = False, must: bool = False) -> bool:
        """Ask for the states of all tasks, where that was not done just before.

        Returns:
            Whether there was an answer.

        Raises:
            RunError: there is none, and must be.
        """
        if not now and time.monotonic() - self._looked < POLL_SECONDS:
            return False
        self._looked = time.monotonic()
        jobs = self._jobs
        if not jobs:
            self.states = {}
            return True
        command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}"]
        done = _run([*command, f"--Format={_COLUMNS}"])
        # Numbers that it has forgotten are left out, and one alone is an error.
        is_answered = not done.returncode or _FORGOTTEN in done.stderr
        # A controller that starts anew has no answer, or half of one: what trains goes on meanwhile.
        with suppress(ValueError):
            if is_answered:
                self.states = parse_states(done.stdout)
                return True
        if must:
            raise _failed(command, done)
        return False

    def cancel(self) -> None:
        """Cancel all tasks, and wait until those that train have saved and ended."""
        for _ in range(round(_PATIENCE_SECONDS / POLL_SECONDS)):
            if self.look(now=True) and not self.num_left:
                return
            # Asked again: a script that is still loading does not hear it.
            _run(["scancel", *self._jobs])
            time.sleep(POLL_SECONDS)

    def _find_unheard(self) -> None:
        """Find the number of an array whose sbatch was not heard to the end, or forget the array."""
        for array in [each for each in self._arrays if each.job is None]:
            numbers = _call("squeue", "--noheader", "--name", array.name, "--format=%F").split()
            if numbers:
                array.job = numbers[0]
            else:
                self._arrays.remove(array)
            self._write_record()

    def _read_record(self) -> list[_Array]:
        file = self._folder / _RECORD
        if not file.is_file():
            return []
        try:
            found: list[dict[str, Any]] = parse_json(file.read_bytes())
            check_form(found, list[_Array])
            return [_Array(**each) for each in found]
        except ValueError as error:
            raise RunError(
                "file-damaged",
                f"cannot be read: {error}",
                "see by squeue what is queued, cancel it, and move the file away",
                subject=file,
            ) from error

    def _write_record(self) -> None:
        write_file(self._folder / _RECORD, json.dumps([vars(each) for each in self._arrays]))


def _is_left(state: TaskState) -> bool:
    return state.phase != "ended"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # The interpreter of tasks is this one, and nothing is frozen. Where the sweep runs in a job, too, its GPUs,
    # memory and restarts are none of theirs.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _OF_SLURM or not name.startswith(("SLURM", "WAVETWIN_FROZEN"))
    }
    environment = kept | {"PYTHON": sys.executable}
    # A Ctrl-C comes to the sweep alone: an sbatch that died of it might have queued its array.
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        process_group=0,
    )


def _call(*command: str) -> str:
    done = _run(command)
    if done.returncode:
        raise _failed(command, done)
    return done.stdout


def _failed(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> RunError:
    return RunError(
        "launcher-incomplete",
        f"{command[0]} fails: {(done.stderr or done.stdout).strip()}",
        "see that Slurm answers; the same command goes on",
    )
