"""Compare a saved state with the plan, before anything of it is taken up.

A state names the training that it is of, the digests of its weights and of the weights that are kept
beside it, and how long its logs were. Every number in it has a range that follows from the plan.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.training.checkpoint import AVERAGE, STATE, WEIGHTS, load_weights_bytes
from wavetwin.runtime.training.early_stopping import EarlyStopping
from wavetwin.runtime.training.loss_scaler import LossScaler
from wavetwin.runtime.training.run_records import RunRecords
from wavetwin.runtime.training.running import METRIC_NAMES
from wavetwin.runtime.training.schedule import LearningRate

__all__ = [
    "NO_DIGESTS",
    "Expected",
    "check_same_position",
    "check_state",
    "check_weights",
    "load_last_weights",
    "take_up_state",
]

NO_DIGESTS = (
    "the state was saved by a wavetwin that kept no digests: weights and logs are taken as they are"
)
"""The warning where a state of the first version is read."""
_PARTS = ("optimizer", "learning_rate", "metrics", "files")
"""What a state has as a mapping."""
_MARGIN = 1 + 1e-9
"""A rate that was multiplied may exceed the plan's by a rounding."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a state has to agree with."""

    plan: TrainingPlan
    steps_per_epoch: int
    data: str
    """Fingerprint of the images."""
    logs: tuple[str, ...]
    optimizer: torch.optim.Optimizer
    stopping: EarlyStopping
    average: nn.Module | None = None
    """Of averaged weights, where there are some."""
    scaler: LossScaler | None = None
    """Where the loss is scaled."""

    def identity(self) -> dict[str, Any]:
        """Return what has to be the same where a state is taken up."""
        return {
            "training_digest": self.plan.training_digest,
            "seed": self.plan.seed,
            "steps_per_epoch": self.steps_per_epoch,
            "data": self.data,
        }


def take_up_state(
    state: Mapping[str, Any],
    folder: Path,
    expected: Expected,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    learning_rate: LearningRate,
    records: RunRecords,
) -> None:
    """Bring network, optimiser, learning rate and records back to a saved state.

    Raises:
        RunError: something does not agree with the state. All is compared before anything is cut.
    """
    check_state(state, folder, expected)
    records.check(state)
    load_last_weights(model, folder, state)
    if expected.average is not None:
        load_last_weights(expected.average, folder, state, AVERAGE, "average_sha256")
    records.cut_back(state)
    optimizer.load_state_dict(state["optimizer"])
    learning_rate.load_state_dict(state["learning_rate"])
    if expected.stopping.patience is not None:
        expected.stopping.load_state_dict(state["early_stopping"])
    if expected.scaler is not None:
        expected.scaler.load_state_dict(state["loss_scaler"])
    records.means.load_state_dict(state["metrics"])


def check_state(state: Mapping[str, Any], folder: Path, expected: Expected) -> None:
    """Refuse a state of another run, or one with a value that training cannot have left.

    Args:
        state: as it was read.
        folder: where it lies, for messages.
        expected: of the run that would take it up.

    Raises:
        RunError: naming the first value that does not fit, and what can be done.
    """
    for name, own in expected.identity().items():
        if name in state and state[name] != own:
            raise RunError(
                "run-differs",
                f"is of another run: {name} is {state[name]}, here it is {own}",
                "bring back what the run was started with, or start another one with --new",
                subject=folder,
            )
    for fault in _faults(state, expected):
        raise RunError(
            "checkpoint-damaged",
            f"was changed or damaged: {fault}",
            f"bring back the file as it was; {ANOTHER_RUN}",
            subject=folder / STATE,
        )


def check_same_position(position: tuple[int, int], checkpoints: Path, processes: Processes) -> None:
    """Refuse processes that have read different states.

    Args:
        position: epochs done, and steps done in the current one.
        checkpoints: where the states lie.
        processes: all of the run, which call this together.

    Raises:
        RunError: another process is elsewhere.
    """
    positions = processes.gather(position)
    if len(set(positions)) > 1:
        raise RunError(
            "processes-disagree",
            f"the processes see other states in {checkpoints}: (epoch, step) {positions}",
            "all machines of a run need one shared folder for runs: --runs names it",
        )


def load_last_weights(
    model: nn.Module,
    folder: Path,
    state: Mapping[str, Any],
    name: str = WEIGHTS,
    digest: str = "weights_sha256",
) -> None:
    """Fill a model from the weights of a name that lie beside a state, which has their `digest`.

    Raises:
        RunError: they are damaged, of another model, or not those that the state was saved with.
    """
    file = folder / name
    remedy = f"bring back the file as it was; {ANOTHER_RUN}"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunError(
            "file-unreadable", f"cannot be read: {error.strerror or error}", remedy, subject=file
        ) from error
    expected = state.get(digest)
    if expected is not None:
        check_weights(file, hashlib.sha256(content).hexdigest(), expected)
    load_weights_bytes(model, content, file)


def check_weights(file: Path, digest: str, expected: str) -> None:
    """Compare the SHA-256 of a weights file with what the run's state says of it.

    Raises:
        RunError: they differ.
    """
    if digest != expected:
        raise RunError(
            "checkpoint-damaged",
            f"is not the file that the run saved: its SHA-256 begins {digest[:12]}, and the "
            f"state says {str(expected)[:12]}",
            f"bring back the file as it was, or run train.py again if the run was stopped while it "
            f"wrote this file; {ANOTHER_RUN}",
            subject=file,
        )


def _faults(state: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    """Yield what does not fit, a clause each; the first is reported, later ones build on it."""
    for name in (*expected.identity(), "epoch", "step"):
        # A state of before there were digests names no seed; its training digest has it.
        if name not in state and name != "seed":
            yield f"it has no {name}"
    for name in _PARTS:
        if not isinstance(state.get(name), dict):
            yield f"{name} is missing or not of its kind"
    yield from _position_faults(state, expected)
    yield from _number_faults(state)
    total = state["epoch"] * expected.steps_per_epoch + state["step"]
    yield from _learning_rate_faults(state["learning_rate"], expected.plan, state["epoch"])
    yield from expected.stopping.faults(state.get("early_stopping"), state["epoch"])
    yield from _metrics_faults(state["metrics"], expected.plan, state["step"])
    yield from _group_faults(state["optimizer"], expected)
    yield from _memory_faults(state["optimizer"], expected, total)
    if expected.scaler is not None:
        yield from expected.scaler.faults(state.get("loss_scaler"), state["step"])
    if expected.average is not None and not isinstance(state.get("average_sha256"), str):
        yield "it does not have the digest of its averaged weights"
    yield from _digest_faults(state, expected.logs)


def _position_faults(state: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    plan, epoch, step = expected.plan, state["epoch"], state["step"]
    if not _is_count(epoch, plan.epochs):
        yield f"epoch is {epoch!r}, and the plan has epochs 0 to {plan.epochs}"
    # A state that is saved before validation has the whole epoch behind it.
    most = expected.steps_per_epoch if epoch < plan.epochs else 0
    if not _is_count(step, most):
        yield f"step is {step!r} after epoch {epoch}, and there are steps 0 to {most}"


def _number_faults(state: Mapping[str, Any]) -> Iterator[str]:
    best, seconds = state.get("best"), state.get("seconds")
    if best != math.inf and not _is_within(best, 1.0):
        yield f"best is {best!r}, and an error lies between 0 and 1"
    if not _is_within(seconds, sys.float_info.max):
        yield f"seconds is {seconds!r}"


def _digest_faults(state: Mapping[str, Any], logs: Sequence[str]) -> Iterator[str]:
    has_digests = state.get("version", 1) > 1
    if has_digests and not isinstance(state.get("weights_sha256"), str):
        yield "it does not have the digest of its weights"
    for name in logs:
        position = state["files"].get(name)
        size = position
        if has_digests:
            is_whole = isinstance(position, dict) and {"bytes", "sha256"} <= position.keys()
            size = position["bytes"] if is_whole else None
        if not _is_count(size, None):
            yield f"the length of {name} is {size!r}"


def _learning_rate_faults(
    values: Mapping[str, Any], plan: TrainingPlan, epoch: int
) -> Iterator[str]:
    highest = plan.optimizer.lr
    for name, most in (("value", highest), ("factor", 1.0)):
        value = values.get(name)
        if not _is_within(value, most):
            yield f"{name} of the learning rate is {value!r}, and lies between 0 and {most}"
    best = values.get("best")
    if best != math.inf and not _is_within(best, sys.float_info.max):
        yield f"best of the learning rate is {best!r}"
    if not _is_count(values.get("bad_epochs"), epoch):
        yield (
            f"bad_epochs of the learning rate is {values.get('bad_epochs')!r} after epoch {epoch}"
        )


def _metrics_faults(sums: Mapping[str, Any], plan: TrainingPlan, step: int) -> Iterator[str]:
    for part in ("epoch", "interval"):
        values = sums.get(part)
        if not isinstance(values, dict) or values.keys() != set(METRIC_NAMES):
            yield f"the sums of the {part} are missing or others"
            return
        for name, value in values.items():
            if not isinstance(value, float | int) or not math.isfinite(value):
                yield f"the sum {name} of the {part} is {value!r}"
                return
        most = {"steps": step, "images": plan.batch_size * step, "wrong": values["images"]}
        for name, limit in most.items():
            if not 0 <= values[name] <= limit:
                yield f"the sum {name} of the {part} is {values[name]!r} after {step} steps"


def _group_faults(found: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    own = expected.optimizer.state_dict()["param_groups"]
    groups = found.get("param_groups")
    if not isinstance(groups, list) or len(groups) != len(own):
        yield "the optimiser's groups are not those of the plan"
        return
    for group, wanted in zip(groups, own, strict=True):
        # Another version of torch may know further options.
        for name in sorted(wanted.keys() & group.keys() - {"lr"}):
            if group[name] != wanted[name]:
                yield f"{name} of the optimiser is {group[name]!r}, and {wanted[name]!r} by the plan"
        most = expected.plan.optimizer.lr * wanted.get("lr_factor", 1.0)
        if not _is_within(group.get("lr"), most):
            yield f"lr of the optimiser is {group.get('lr')!r}"


def _memory_faults(found: Mapping[str, Any], expected: Expected, total_steps: int) -> Iterator[str]:
    """Yield what is wrong with the optimiser's running averages."""
    parameters = [p for group in expected.optimizer.param_groups for p in group["params"]]
    states = found.get("state")
    if not isinstance(states, dict) or not set(states) <= set(range(len(parameters))):
        yield "the optimiser remembers other parameters than the model has"
        return
    for number, values in states.items():
        for name, value in values.items():
            if name == "step":
                if not 0 <= float(value) <= total_steps:
                    yield f"step of the optimiser is {float(value):g} after {total_steps} steps"
            elif isinstance(value, Tensor):
                if value.shape != parameters[number].shape:
                    yield f"{name} of parameter {number} has the shape {tuple(value.shape)}"
                elif bool(value.isnan().any()):
                    yield f"{name} of parameter {number} is not a number everywhere"


def _is_count(value: Any, most: int | None) -> bool:
    """Return whether a value is a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return False
    return most is None or value <= most


def _is_within(value: Any, most: float) -> bool:
    """Return whether a value is a number from 0 to `most`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value <= most * _MARGIN
