"""Read how far the members of a sweep are, from their run folders: nothing else holds a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.explain.runs.documents import UnreadableRunError, read_json
from wavetwin.explain.runs.folders import stamp_of
from wavetwin.ir.sweeps.objectives import Objective
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.records import read_lines
from wavetwin.runtime.training.run_manifest import MANIFEST

__all__ = ["Results", "RunResult"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run folder has of a training."""

    values: tuple[float, ...] = ()
    """The objective after each epoch."""
    status: str = "new"
    """As manifest.json has it; `new` where there is none."""
    seconds: float = 0.0
    """Of training, over all sessions that ended."""

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
        """Whether its last session ended by a fault of the training."""
        return self.status == "failed"

    def value_at(self, epoch: int) -> float | None:
        """Return the objective after an epoch; the last one of a training that ended before it.

        None: it is not there yet, or a session was killed before its state was there, too.
        """
        if self.epochs > epoch or (self.epochs == epoch and self.status != "running"):
            return self.values[epoch - 1]
        return self.values[-1] if self.is_finished and self.values else None


class Results:
    """Results of runs by their folders, each read again when its files change."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._known: dict[Path, tuple[str, RunResult]] = {}

    def of(self, run: Path) -> RunResult:
        """Return what a run folder has.

        Raises:
            RunError: a file of it is damaged.
        """
        stamp = stamp_of(run)
        known = self._known.get(run)
        if known is None or known[0] != stamp:
            known = self._known[run] = (stamp, _read(run, self._objective))
        return known[1]


def _read(run: Path, objective: Objective) -> RunResult:
    if not (run / MANIFEST).is_file():
        return RunResult()
    try:
        manifest: dict[str, Any] = read_json(run / MANIFEST)
        values = {
            int(line["epoch"]): objective.value(line)
            for line in read_lines(run / "metrics.jsonl")
            if line["kind"] == "epoch"
        }
    except (UnreadableRunError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            "file-damaged",
            f"cannot be read: {error}",
            "move the run away, and start again",
            subject=run,
        ) from error
    if list(values) != list(range(1, len(values) + 1)):
        raise RunError(
            "file-damaged",
            "does not have every epoch once, in order",
            "move the run away, and start again",
            subject=run / "metrics.jsonl",
        )
    status = str(manifest.get("status", "new"))
    seconds = float(manifest.get("training_seconds") or 0.0)
    return RunResult(tuple(values.values()), status, seconds)
