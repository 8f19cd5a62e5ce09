"""Train members as tasks of an array of Slurm, whose nodes share this file system.

One array of held tasks is queued for the members that are left. A task is released when the course asks
for a member; which one, and up to which epoch, is written for it before. It runs the member's own
`slurm.sh`, which saves before the time limit and queues the task again. A member that goes on after a
milestone gets the next free task, or a further array of one.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from wavetwin.files.atomic import write_file
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import ANY_DEVICE
from wavetwin.runtime.slurm.resources import gpu_options, has_array
from wavetwin.sweep.engines import EngineOptions, member_log
from wavetwin.sweep.members import Member
from wavetwin.sweep.slurm_queue import SlurmQueue, Task

__all__ = ["SlurmEngine"]

_PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")
_OWN_OPTIONS = ("job-name", "output", "cpus-per-task")
_LARGEST = 1000
"""Tasks of an array: by Slurm's default, MaxArraySize=1001, an index is at most 1000."""
_BODY = """
# A task's file has the member's log and its slurm.sh with options, each with a NUL behind it.
words=()
while IFS= read -r -d '' word; do words+=("$word"); done < "$1/$SLURM_ARRAY_TASK_ID"
exec >> "${words[0]}" 2>&1
# A member's slurm.sh refuses to be several tasks of one run; each of these is a run of its own.
unset SLURM_ARRAY_TASK_COUNT
exec bash "${words[@]:1}"
"""


class SlurmEngine:
    """Members as tasks of arrays, released as they are asked for."""

    def __init__(self, options: EngineOptions) -> None:
        """Find what an earlier session has queued; nothing is queued before it is needed.

        Raises:
            RunError: Slurm's commands are not here or get no answer, a record is damaged, or an array
                is asked for.
        """
        for name in _PROGRAMS:
            if shutil.which(name) is None:
                raise RunError(
                    "launcher-incomplete",
                    f"there is no {name} here",
                    "start the sweep where Slurm is, or choose --engine local",
                )
        self._sbatch_options = os.environ.get("SBATCH_OPTIONS", "").split()
        if has_array(self._sbatch_options):
            raise RunError(
                "bad-argument",
                "a sweep queues arrays of its own, a task for each member",
                "leave --array out of it; --jobs N says how many members train at once",
                subject="SBATCH_OPTIONS",
            )
        options.logs.mkdir(parents=True, exist_ok=True)
        folder = options.folder / "slurm"
        folder.mkdir(exist_ok=True)
        self._options = options
        self._queue = SlurmQueue(folder, options.folder.name)
        self._lacking = options.num_members - self._queue.num_left
        """Tasks that are not queued yet, one for each member that is left; then one by one what goes on."""
        self._given_out = {
            each.text: each.file.read_bytes() for each in self._queue.tasks if each.file.is_file()
        }
        """What the files of tasks have, by the tasks' names."""
        self._watched: dict[Path, tuple[Member, Task]] = {}
        self._stale: dict[Path, tuple[Path, int]] = {}
        """Of members whose tasks train to another epoch: their folders, and the epoch that is wanted."""

    @property
    def has_room(self) -> bool:
        """Whether another task can be released; Slurm lets it wait for its turn."""
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
        is_held = self._queue.states[task.text].is_held
        if not is_held and self._given_out[task.text] != content:
            self._stale[member.run] = folder, until
        else:
            write_file(task.file, content)
            self._given_out[task.text] = content
        if is_held:
            self._queue.release(task)
        self._watched[member.run] = member, task

    def ended(self) -> Sequence[tuple[Member, int]]:
        """Return the members whose tasks have ended, with the exit codes of their scripts.

        Raises:
            RunError: somebody cancelled a task.
        """
        if not self._queue.look():
            return []
        found: list[tuple[Member, int]] = []
        for run, (member, task) in list(self._watched.items()):
            state = self._queue.states.get(task.text)
            if state is not None and state.phase != "ended":
                continue
            del self._watched[run]
            if run in self._stale:
                self.start(member, *self._stale.pop(run))
            elif state is not None and state.is_cancelled:
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
        self._queue.cancel()
        self._watched.clear()

    def log(self, member: Member) -> Path:
        """Return the log of a member."""
        return member_log(self._options.logs, member)

    def _task_of(self, log: str) -> Task | None:
        """Return the task that has a member already and has not ended."""
        begin = f"{log}\0".encode()
        for task in self._queue.tasks:
            has_ended = self._queue.states[task.text].phase == "ended"
            if not has_ended and self._given_out.get(task.text, b"").startswith(begin):
                return task
        return None

    def _free_task(self, folder: Path) -> Task:
        """Return a held task that has no member, of a new array where there is none."""
        for _ in range(2):
            for task in self._queue.tasks:
                if self._queue.states[task.text].is_held and task.text not in self._given_out:
                    return task
            lines = ["#!/bin/bash", *self._sbatch_lines(folder / "slurm.sh"), _BODY]
            jobs = self._options.jobs
            count = max(1, min(self._lacking, _LARGEST))
            array = f"--array=0-{count - 1}" + ("" if jobs is None else f"%{jobs}")
            threads = f"--cpus-per-task={self._options.threads}"
            gpus = gpu_options(self._sbatch_options, "cpu" if self._options.on_cpu else ANY_DEVICE)
            options = [array, threads, *gpus, *self._sbatch_options]
            self._queue.add(count, "\n".join(lines), options)
            self._lacking -= count
        raise RunError(
            "launcher-incomplete",
            "sbatch has taken an array, and squeue does not show its tasks",
            "the same command goes on",
        )

    def _sbatch_lines(self, script: Path) -> list[str]:
        """Return what a member's slurm.sh asks Slurm for, less what an array says itself."""
        return [
            line
            for line in script.read_text(encoding="utf-8").splitlines()
            if line.startswith("#SBATCH --")
            and line.removeprefix("#SBATCH --").partition("=")[0] not in _OWN_OPTIONS
        ]
