"""Write what a run records while it trains: running means, the lines of its JSON files, loggers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from wavetwin.runtime.loggers import Loggers
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.training.losses import row_gradients
from wavetwin.runtime.training.records import JsonLines
from wavetwin.runtime.training.running import NotFinite, RunningMetrics

__all__ = ["RunRecords", "describe_epoch"]

METRICS, GRADIENTS = "metrics.jsonl", "gradients.jsonl"


class RunRecords:
    """The records of a run, all of them or what is left after its last state; the first process writes."""

    def __init__(
        self,
        folder: Path,
        has_penalty: bool,
        has_gradients: bool,
        processes: Processes,
        may_overflow: bool = False,
    ) -> None:
        """Open the files of a run.

        Args:
            folder: the run's.
            has_penalty: whether each step has one.
            has_gradients: whether norms of gradients are recorded.
            processes: all of the run.
            may_overflow: whether gradients may be infinite, in steps that are then skipped.
        """
        self._may_overflow = may_overflow
        self.means = RunningMetrics(has_penalty, processes)
        self._files: dict[str, JsonLines] = {}
        if processes.is_first:
            names = (METRICS, GRADIENTS) if has_gradients else (METRICS,)
            self._files = {name: JsonLines(folder / name) for name in names}
        self._gradients: list[tuple[int, dict[str, Tensor]]] = []
        self._loggers = Loggers()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that are written."""
        return tuple(self._files)

    def log_with(self, loggers: Loggers) -> None:
        """Hand what is written to loggers, too."""
        self._loggers = loggers

    def add_gradients(self, step: int, model: nn.Module) -> None:
        """Note the l-infinity norm of each mixing row's gradient in a step, counted from 1."""
        self._gradients.append((step, row_gradients(model)))

    def drain(self) -> NotFinite | None:
        """Take in what the device has computed since the last call; return what is not finite."""
        fault = self.means.drain()
        if fault is not None:
            return fault
        for step, norms in self._gradients:
            rows: dict[str, list[float]] = {name: norm.tolist() for name, norm in norms.items()}
            if all(math.isfinite(value) for row in rows.values() for value in row):
                self._append(GRADIENTS, {"step": step, "linf": rows})
            elif self._may_overflow:
                empty = {name: [None] * len(row) for name, row in rows.items()}
                self._append(GRADIENTS, {"step": step, "linf": empty})
            else:
                return NotFinite("gradient", step)
        self._gradients.clear()
        return None

    def write_interval(
        self, epoch: int, step: int, learning_rate: float, seconds: float, speed: float
    ) -> None:
        """Write the means since the last line, in an epoch (from 1) after so many steps."""
        values = {"lr": learning_rate} | self.means.take_interval_means()
        speed = round(speed, 1)
        self._append(
            METRICS,
            {"kind": "step", "epoch": epoch, "step": step}
            | values
            | {"time": {"seconds": round(seconds, 3), "images_per_second": speed}},
        )
        self._loggers.add("step", step, values | {"images_per_second": speed})

    def write_epoch(
        self,
        epoch: int,
        step: int,
        learning_rate: float,
        validation: Mapping[str, Any] | None,
        seconds: float,
        averaged: Mapping[str, Any] | None = None,
        scaling: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Write an epoch's means and its validation scores; return the means, and begin at zero.

        Where weights are averaged, theirs are `average`; where the loss is scaled, `scaling` has the steps
        that were skipped and the scale.
        """
        means = self.means.epoch_means()
        self.means.start_epoch()
        values = {"lr": learning_rate, "train": means, "validation": validation}
        if averaged is not None:
            values["average"] = averaged
        if scaling is not None:
            values["scaling"] = scaling
        self._append(
            METRICS,
            {"kind": "epoch", "epoch": epoch, "step": step}
            | values
            | {"time": {"seconds": round(seconds, 3)}},
        )
        self._loggers.add("epoch/train", epoch, means)
        self._loggers.add("epoch/validation", epoch, validation or {})
        self._loggers.add("epoch/average", epoch, averaged or {})
        self._loggers.add("epoch/scaling", epoch, scaling or {})
        return means

    def state(self) -> dict[str, Any]:
        """Return what a saved state has of the records: sums, and how long the files are."""
        self._loggers.flush()
        return {
            "metrics": self.means.state_dict(),
            "files": {name: file.position() for name, file in self._files.items()},
        }

    def check(self, state: Mapping[str, Any]) -> None:
        """Compare the files with a saved state, before anything is changed.

        Raises:
            RunError: one is shorter than the state has it, or begins with other bytes.
        """
        for name, file in self._files.items():
            file.check(state["files"][name])

    def cut_back(self, state: Mapping[str, Any] | None) -> None:
        """Cut off what the files have after a saved state; all, where there is none."""
        for name, file in self._files.items():
            file.cut_back(0 if state is None else state["files"][name])

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name in self._files:
            self._files[name].append(record)


def describe_epoch(
    epoch: int,
    means: Mapping[str, float],
    validation: Mapping[str, Any] | None,
    averaged: Mapping[str, Any] | None = None,
    scaling: Mapping[str, float] | None = None,
) -> str:
    """Return the line that is printed after an epoch."""
    text = f"epoch {epoch}: loss {means['loss']:z.4f}, error {means['top1_error']:z.4f}"
    if scaling is not None and scaling["skipped_steps"]:
        count, scale = scaling["skipped_steps"], scaling["loss_scale"]
        steps = "1 step" if count == 1 else f"{count} steps"
        text += f" ({steps} skipped: gradients overflowed; the loss is now scaled by {scale:g})"
    if validation is None:
        return text
    loss, error = validation["loss"], validation["top1_error"]
    text = f"{text}; validation loss {loss:z.4f}, error {error:z.4f}"
    if averaged is None:
        return text
    loss, error = averaged["loss"], averaged["top1_error"]
    return f"{text}; averaged weights loss {loss:z.4f}, error {error:z.4f}"
