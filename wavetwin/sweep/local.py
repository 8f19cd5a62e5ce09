"""Train members as processes of this machine, a few at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wavetwin.runtime.process.follow_parent import follow_parent
from wavetwin.sweep.engines import EngineOptions, member_log
from wavetwin.sweep.members import Member

__all__ = ["LocalEngine"]


class LocalEngine:
    """Processes of the generated `train.py`, each in a slot with its own environment.

    If this process is killed, they get SIGTERM (on Linux): they save and stop.
    """

    def __init__(self, options: EngineOptions) -> None:
        """Begin with free slots."""
        self._options = options
        self._processes: dict[int, tuple[Member, subprocess.Popen[bytes]]] = {}
        options.logs.mkdir(parents=True, exist_ok=True)

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return len(self._processes) < len(self._options.slots)

    @property
    def running(self) -> Sequence[Member]:
        """The members in the slots."""
        return [member for member, _ in self._processes.values()]

    def start(self, member: Member, folder: Path, until: int) -> None:
        """Start a member's train.py in a free slot, in a process group of its own."""
        slot = next(each for each in range(len(self._options.slots)) if each not in self._processes)
        command = [sys.executable, str(folder / "train.py"), "--until-epoch", str(until)]
        with self.log(member).open("ab") as log:
            process = subprocess.Popen(
                [*command, *self._options.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._options.slots[slot]},
                # A Ctrl-C comes to the sweep alone, which stops each member once.
                process_group=0,
                preexec_fn=follow_parent(),
            )
        self._processes[slot] = member, process

    def ended(self) -> Sequence[tuple[Member, int]]:
        """Return the members whose processes have ended, with their exit codes."""
        found: list[tuple[Member, int]] = []
        for slot, (member, process) in list(self._processes.items()):
            code = process.poll()
            if code is not None:
                del self._processes[slot]
                found.append((member, code))
        return found

    def stop(self) -> None:
        """Send SIGTERM to all, and wait."""
        for _, process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for _, process in self._processes.values():
            process.wait()

    def log(self, member: Member) -> Path:
        """Return the log of a member."""
        return member_log(self._options.logs, member)
