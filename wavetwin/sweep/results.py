"""Read how far the members of a sweep are, from their run folders: nothing else holds a result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from wavetwin.diagnostics.codes import RUN_CODES, SYSTEM_CODES
from wavetwin.explain.runs.folders import stamp_of
from wavetwin.ir.sweeps.objectives import Objective
from wavetwin.runtime.process.errors import RunError, with_remedy
from wavetwin.runtime.training.records import read_epochs
from wavetwin.runtime.training.run_manifest import existing_manifest
from wavetwin.sweep.members import Member

__all__ = ["Results", "RunResult"]

_REMEDY = "move the run away, and start again"
_NOT_FINITE = "not-finite"
_OF_THE_MACHINE = ({*RUN_CODES, *SYSTEM_CODES}) - {_NOT_FINITE}
"""Faults of a session that say nothing about what was trained, such as a full disk."""
_OF_MEMORY = ("OutOfMemoryError", "MemoryError")
"""A device's limit, and a result all the same: another batch size or another network trains there."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run folder has of a training."""

    values: tuple[float, ...] = ()
    """The objective after each epoch."""
    status: str = "new"
    """As manifest.json has it; `new` where there is none."""
    sessions: int = 0
    """How often it was started."""
    fault: str | None = None
    """What its last session failed by, where the run says it."""

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.values)

    @property
    def is_finished(self) -> bool:
        """Whether nothing of it is left to train."""
        return self.status == "finished"

    @property
    def has_failed(self) -> bool:
        """Whether its last session ended by a fault of the training, which is a result."""
        return self.status == "failed" and self.fault not in _OF_THE_MACHINE

    @property
    def is_short_of_memory(self) -> bool:
        """Whether its last session failed for want of memory."""
        return self.has_failed and self.fault in _OF_MEMORY

    @property
    def is_cut_off(self) -> bool:
        """Whether its last session was killed, or failed by the machine: its last state may be older."""
        return self.status == "running" or (self.status == "failed" and not self.has_failed)

    def value_at(self, epoch: int) -> float | None:
        """Return the objective after an epoch; the last one of a training that ended before it.

        None: it is not there yet, or a session was cut off before its state was there, too.
        """
        if self.epochs > epoch or (self.epochs == epoch and not self.is_cut_off):
            return self.values[epoch - 1]
        return self.values[-1] if self.is_finished and self.values else None


class Results:
    """Results of members by their run folders, each read again when its files change."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._known: dict[Path, tuple[str, RunResult]] = {}

    def of(self, member: Member, *, anew: bool = False) -> RunResult:
        """Return what a member's run folder has.

        Args:
            member: whose run it is.
            anew: read the files also where they look unchanged: a network's file system says for a while
                what it has said before, but for a file that is opened.

        Raises:
            RunError: a file of it is damaged, or it is a run of another training.
        """
        stamp = stamp_of(member.run)
        known = self._known.get(member.run)
        if anew or known is None or known[0] != stamp:
            known = self._known[member.run] = (stamp, _read(member, self._objective))
        return known[1]


def _read(member: Member, objective: Objective) -> RunResult:
    run = member.run
    try:
        manifest = existing_manifest(run, member.plan)
    except RunError as error:
        raise with_remedy(error, _REMEDY) from error
    if manifest is None:
        return RunResult()
    values = _read_values(run / "metrics.jsonl", objective)
    sessions = manifest.get("lives", [])
    fault = sessions[-1].get("fault") if sessions else None
    return RunResult(values, manifest["status"], len(sessions), fault)


def _read_values(file: Path, objective: Objective) -> tuple[float, ...]:
    """Return the objective after each epoch.

    Raises:
        RunError: the file is damaged.
    """
    epochs: list[int] = []
    values: list[float] = []
    try:
        for line in read_epochs(file):
            epochs.append(line["epoch"])
            values.append(objective.value(line))
    except (KeyError, ValueError) as error:
        raise RunError("file-damaged", f"cannot be read: {error}", _REMEDY, subject=file) from error
    if not all(map(math.isfinite, values)):
        raise RunError(
            "file-damaged", "has a score that is not a finite number", _REMEDY, subject=file
        )
    if epochs != list(range(1, len(epochs) + 1)):
        raise RunError(
            "file-damaged", "does not have every epoch once, in order", _REMEDY, subject=file
        )
    return tuple(values)
