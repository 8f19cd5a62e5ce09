"""Train members as tasks of an array of Slurm, whose nodes share this file system.

One array of held tasks is queued for the members that are left. A task is released when the course asks
for a member; which one, and up to which epoch, is written for it before. It runs the member's own
`slurm.sh`, which saves before the time limit and queues the task again. A member that goes on after a
milestone gets the next free task, or a further array of one.

What was queued is written down before it is queued, under the name that the jobs have: whoever starts
the sweep again after a crash finds the tasks, watches those that train, and queues nothing twice.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavetwin.files.atomic import write_file
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.engines import EngineOptions, member_log
from wavetwin.sweep.members import Member

__all__ = ["SlurmEngine", "TaskState", "parse_states"]

_PATIENCE_SECONDS = 300
"""For tasks that save and end."""
POLL_SECONDS = 3.0
"""Between two looks at the queue: a controller serves many users."""
_RECORD = "arrays.json"
_COLUMNS = "JobArrayID:40,State:24,Reason:40,exit_code:12"
_FORGOTTEN = "Invalid job id"
_HELD = ("JobHeldUser", "JobHeldAdmin")
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "CONFIGURING", "SUSPENDED", "STOPPED")
_TRAINS = ("RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT")
_BODY = """
# A task's file has the member's log and its slurm.sh with options, each with a NUL behind it.
words=()
while IFS= read -r -d '' word; do words+=("$word"); done < "$1/$SLURM_ARRAY_TASK_ID"
exec >> "${words[0]}" 2>&1
exec bash "${words[@]:1}"
"""


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
        return "live" if self.name in (*_WAITING, *_TRAINS) else "ended"

    @property
    def code(self) -> int:
        """Return the exit code of a task that has ended; negative for a signal."""
        if self.name == "COMPLETED":
            return 0
        code = os.waitstatus_to_exitcode(self.status)
        # Cut off by the time limit, a lost node or for its memory: no result of the training.
        return code if self.name == "FAILED" and code else -signal.SIGKILL


@dataclass
class _Array:
    """An array that is queued, or was to be."""

    name: str
    """Of its jobs, too: nobody else's are called so."""
    count: int
    job: str | None = None
    """Its number; None: sbatch was not heard to the end."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A task of an array."""

    job: str
    index: int
    file: Path
    """What it reads when it starts."""

    @property
    def text(self) -> str:
        return f"{self.job}_{self.index}"


def parse_states(text: str) -> dict[str, TaskState]:
    """Return what `squeue` prints, by the number of the array and of the task: `12_3`."""
    found: dict[str, TaskState] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4:
            name, state, reason, status = words
            held = state == "PENDING" and reason in _HELD
            found[name] = TaskState(state, held, int(status) if status.isdecimal() else 0)
    return found


class SlurmEngine:
    """Members as tasks of arrays, released as they are asked for."""

    def __init__(self, options: EngineOptions) -> None:
        """Find what an earlier session has queued; nothing is queued before it is needed.

        Raises:
            RunError: Slurm's commands are not here, or the record of what was queued is damaged.
        """
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            if shutil.which(name) is None:
                raise RunError(
                    "launcher-incomplete",
                    f"there is no {name} here",
                    "start the sweep where Slurm is, or with another --engine",
                )
        self._options = options
        self._folder = options.folder / "slurm"
        self._watched: dict[Path, tuple[Member, _Task]] = {}
        self._stale: dict[Path, tuple[Path, int]] = {}
        """Of members whose tasks train to another epoch: their folders, and the epoch that is wanted."""
        self._looked = 0.0
        self._states: dict[str, TaskState] = {}
        self._arrays = self._read_record()
        options.logs.mkdir(parents=True, exist_ok=True)
        self._find_unheard()
        self._look(now=True, must=True)
        self._forget_ended()
        self._wanted = 1 if self._arrays else max(1, options.num_members)
        """Tasks of the next array: all members that are left, then one by one what goes on."""

    @property
    def has_room(self) -> bool:
        """Whether another member can be released; Slurm has the rest wait."""
        jobs = self._options.jobs
        return jobs is None or len(self._watched) < jobs

    @property
    def running(self) -> Sequence[Member]:
        """The members whose tasks wait or train."""
        return [member for member, _ in self._watched.values()]

    def start(self, member: Member, folder: Path, until: int) -> None:
        """Release a task for a member, or watch the one that an earlier session has released.

        Raises:
            RunError: Slurm refuses.
        """
        words = [
            str(self.log(member)),
            str(folder / "slurm.sh"),
            *("--until-epoch", str(until)),
            *self._options.arguments,
        ]
        content = "".join(f"{word}\0" for word in words).encode()
        task = self._task_of(words[0]) or self._free_task(folder)
        is_held = self._states[task.text].is_held
        if task.file.is_file() and task.file.read_bytes() != content and not is_held:
            self._stale[member.run] = folder, until
        else:
            write_file(task.file, content)
        if is_held:
            self._call("scontrol", "release", task.text)
            self._states[task.text] = TaskState("PENDING")
        self._watched[member.run] = member, task

    def ended(self) -> Sequence[tuple[Member, int]]:
        """Return the members whose tasks have ended, with the exit codes of their scripts.

        Raises:
            RunError: somebody cancelled a task.
        """
        if not self._look():
            return []
        found: list[tuple[Member, int]] = []
        for run, (member, task) in list(self._watched.items()):
            state = self._states.get(task.text)
            if state is not None and state.phase != "ended":
                continue
            del self._watched[run]
            if run in self._stale:
                self.start(member, *self._stale.pop(run))
            elif state is not None and state.name == "CANCELLED":
                raise RunError(
                    "member-cancelled",
                    f"somebody cancelled job {task.text}, {member.text}",
                    "the same command goes on",
                    subject=self.log(member),
                )
            else:
                # Slurm forgets ended jobs after a while.
                found.append((member, -signal.SIGKILL if state is None else state.code))
        return found

    def stop(self) -> None:
        """Cancel all tasks, and wait until those that train have saved and ended."""
        self._find_unheard()
        jobs = [each.job for each in self._arrays if each.job is not None]
        self._look(now=True)
        for _ in range(round(_PATIENCE_SECONDS / POLL_SECONDS)):
            if all(each.phase == "ended" for each in self._states.values()):
                break
            # Asked again: a script that is still loading does not hear it.
            subprocess.run(["scancel", *jobs], capture_output=True, check=False)
            time.sleep(POLL_SECONDS)
            self._look(now=True)
        self._watched.clear()

    def log(self, member: Member) -> Path:
        """Return the log of a member."""
        return member_log(self._options.logs, member)

    def _task_of(self, log: str) -> _Task | None:
        """Return the task that has a member already and has not ended."""
        for task in self._tasks():
            is_taken = self._states[task.text].phase != "ended" and task.file.is_file()
            if is_taken and task.file.read_bytes().split(b"\0")[0].decode() == log:
                return task
        return None

    def _free_task(self, folder: Path) -> _Task:
        """Return a held task that has no member, of a new array where there is none."""
        for _ in range(2):
            for task in self._tasks():
                if self._states[task.text].is_held and not task.file.is_file():
                    return task
            self._queue(self._wanted, folder / "slurm.sh")
            self._wanted = 1
        raise RunError(
            "launcher-incomplete",
            "sbatch has taken an array, and squeue does not show its tasks",
            "the same command goes on",
        )

    def _tasks(self) -> list[_Task]:
        """Return all tasks that the queue shows."""
        return [
            task
            for array in self._arrays
            if array.job is not None
            for index in range(array.count)
            if (task := _Task(array.job, index, self._folder / array.name / str(index))).text
            in self._states
        ]

    def _queue(self, count: int, slurm_script: Path) -> None:
        """Queue an array of held tasks, with a member's `#SBATCH` lines; its name is on the disk before."""
        array = _Array(f"{self._options.folder.name}-{uuid.uuid4().hex[:8]}", count)
        folder = self._folder / array.name
        folder.mkdir(parents=True)
        script = folder / "task.sh"
        lines = ["#!/bin/bash", *_sbatch_lines(slurm_script, self._options.on_cpu), _BODY]
        write_file(script, "\n".join(lines))
        self._arrays.append(array)
        self._write_record()
        jobs = self._options.jobs
        done = subprocess.run(
            [
                *("sbatch", "--parsable", "--hold", "--export=ALL"),
                f"--array=0-{count - 1}" + ("" if jobs is None else f"%{jobs}"),
                f"--job-name={array.name}",
                f"--output={folder}/%a.out",
                f"--cpus-per-task={self._options.threads}",
                *os.environ.get("SBATCH_OPTIONS", "").split(),
                *(str(script), str(folder)),
            ],
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self._arrays.remove(array)
            self._write_record()
            raise RunError(
                "launcher-incomplete",
                f"sbatch refuses the array: {done.stderr.strip()}",
                "SBATCH_OPTIONS has options of sbatch that win over those of slurm.sh, "
                "as --gpus-per-node=0",
            )
        array.job = done.stdout.strip().partition(";")[0]
        self._write_record()
        self._look(now=True)

    def _find_unheard(self) -> None:
        """Find the number of an array whose sbatch was not heard to the end, or forget the array."""
        for array in [each for each in self._arrays if each.job is None]:
            text = self._call("squeue", "--noheader", "--name", array.name, "--format=%F")
            if numbers := text.split():
                array.job = numbers[0]
            else:
                self._arrays.remove(array)
            self._write_record()

    def _forget_ended(self) -> None:
        """Forget arrays that have no task left."""
        left = {
            text.partition("_")[0] for text, each in self._states.items() if each.phase != "ended"
        }
        self._arrays = [each for each in self._arrays if each.job in left]
        self._write_record()

    def _look(self, now: bool = False, must: bool = False) -> bool:
        """Ask the queue for all tasks, where that was not done just before; return whether it answered.

        Raises:
            RunError: it does not answer, and must.
        """
        if not now and time.monotonic() - self._looked < POLL_SECONDS:
            return False
        self._looked = time.monotonic()
        found: dict[str, TaskState] = {}
        for array in self._arrays:
            # One by one: of a number that it has forgotten squeue makes an error.
            command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={array.job}"]
            done = _run([*command, f"--Format={_COLUMNS}"])
            if done.returncode and _FORGOTTEN not in done.stderr:
                # A controller that starts anew: what trains goes on meanwhile.
                if must:
                    raise _refused(command, done)
                return False
            found |= parse_states(done.stdout)
        self._states = found
        return True

    def _call(self, *command: str) -> str:
        done = _run(command)
        if done.returncode:
            raise _refused(command, done)
        return done.stdout

    def _read_record(self) -> list[_Array]:
        file = self._folder / _RECORD
        if not file.is_file():
            return []
        try:
            found: list[dict[str, Any]] = parse_json(file.read_bytes())
            return [_Array(**each) for each in found]
        except (TypeError, ValueError) as error:
            raise RunError(
                "file-damaged", f"cannot be read: {error}", "move it away", subject=file
            ) from error

    def _write_record(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_file(self._folder / _RECORD, json.dumps([vars(each) for each in self._arrays]))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _refused(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> RunError:
    return RunError(
        "launcher-incomplete",
        f"{command[0]} fails: {done.stderr.strip()}",
        "see that Slurm answers; the same command goes on",
    )


def _sbatch_lines(script: Path, on_cpu: bool) -> list[str]:
    """Return the options that a member's slurm.sh has for sbatch, less those that an array says itself."""
    left_out = ("job-name", "output", "cpus-per-task", *(("gpus-per-node",) if on_cpu else ()))
    return [
        line
        for line in script.read_text(encoding="utf-8").splitlines()
        if line.startswith("#SBATCH --")
        and line.removeprefix("#SBATCH --").partition("=")[0] not in left_out
    ]


def _environment() -> dict[str, str]:
    """Return the variables that tasks get: the interpreter is this one, and nothing is frozen."""
    kept = {name: value for name, value in os.environ.items() if name != "WAVETWIN_FROZEN"}
    return kept | {"PYTHON": sys.executable}
