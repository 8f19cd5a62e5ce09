"""The bookkeeping of training; the loop itself stands in the generated script.

`TrainingRun` restores the last checkpoint, hands out epochs and batches from there, adds up the
running metrics, writes records and checkpoints, and stops cleanly on a signal.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from wavetwin.compiler.graph import ModuleGraph
from wavetwin.compiler.plan import TrainingPlan
from wavetwin.runtime.checkpoint import (
    WEIGHTS,
    find_last,
    load_state,
    load_weights,
    save_snapshot,
    save_state,
)
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.progress import ProgressReport
from wavetwin.runtime.random_streams import seed_step
from wavetwin.runtime.records import EventWriter, JsonLines
from wavetwin.runtime.run_folder import RunFolder
from wavetwin.runtime.running import RunningMetrics
from wavetwin.runtime.schedule import LearningRate, build_optimizer

__all__ = ["LearningRate", "TrainingRun", "autocast", "build_optimizer", "split_batch"]

LINES_PER_EPOCH = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def autocast(plan: TrainingPlan, device: torch.device) -> torch.autocast:
    """Return the context of the forward pass: bfloat16 where the plan says so, else float32."""
    enabled = plan.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def split_batch(
    images: Tensor, labels: Tensor, parts: int
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yield the parts of an accumulated batch with each part's share of the images."""
    for part, part_labels in zip(images.chunk(parts), labels.chunk(parts), strict=True):
        yield part, part_labels, len(part) / len(images)


class TrainingRun:
    """One life of a training run: from the last checkpoint to the end, a signal or a failure."""

    def __init__(
        self,
        run: RunFolder,
        plan: TrainingPlan,
        graph: ModuleGraph,
        data: ExperimentData,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        learning_rate: LearningRate,
        device: torch.device,
    ) -> None:
        self.run, self.plan, self.data, self.device = run, plan, data, device
        self.model, self.optimizer, self.learning_rate = model, optimizer, learning_rate
        self.epoch, self.step = 0, 0
        """Epochs done, and steps done in the current one."""
        self._seconds_before = 0.0
        self._metrics = RunningMetrics(plan.regularisation is not None)
        self._pending_gradients: list[tuple[int, dict[str, Tensor]]] = []
        self._mixing = [node.id for node in graph if node.op == "packet_mixing"]
        self._files = {"metrics.jsonl": JsonLines(run.path / "metrics.jsonl")}
        if plan.record_gradients:
            self._files["gradients.jsonl"] = JsonLines(run.path / "gradients.jsonl")
        self._seconds_between = run.arguments.checkpoint_seconds
        self._steps_between = run.arguments.checkpoint_steps
        self._signal: int | None = None
        if plan.regularisation is not None:
            mixing = model.get_submodule(plan.regularisation.node)
            if getattr(mixing, "lambdas", None) is None:
                raise RunError(
                    f"the plan regularises {plan.regularisation.node}, and model.py gives it no "
                    "lambdas",
                    "build again, or take the regularisation out of the spec",
                )
        self._restore()

    def __enter__(self) -> TrainingRun:
        self._started = self._saved = time.monotonic()
        total = self.plan.epochs * self.data.steps_per_epoch
        self.progress = ProgressReport(f"training {self.plan.name}", total, self.total_steps)
        self._events = EventWriter(self.run.path / "events", self.total_steps)
        self._old_handlers = {}
        if threading.current_thread() is threading.main_thread():
            self._old_handlers = {s: signal.signal(s, self._on_signal) for s in _SIGNALS}
        self.progress.__enter__()
        for warning in self.run.begin_life(self.total_steps, self.device):
            self.progress.say(f"warning: {warning}")
        if self.total_steps > 0:
            self.progress.say(f"resumed after {self.epoch} epochs and {self.step} steps")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self.progress.__exit__(kind, error, trace)
        if kind is None and find_last(self.run.checkpoints) is None:
            self.save()  # a plan of no epochs still has weights to evaluate
        self._events.close()
        for file in self._files.values():
            file.close()
        outcome = "finished" if kind is None else "failed"
        self.run.end_life("stopped" if kind is SystemExit else outcome, self.seconds)
        self.run.close()

    @property
    def total_steps(self) -> int:
        """Steps done since the start of training."""
        return self.epoch * self.data.steps_per_epoch + self.step

    @property
    def seconds(self) -> float:
        """Time spent on training, over all lives."""
        return self._seconds_before + time.monotonic() - self._started

    def epochs(self) -> Iterator[int]:
        """Yield the epochs that are left, counted from 0."""
        yield from range(self.epoch, self.plan.epochs)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images and labels of what is left of an epoch; seeds each step's dropout."""
        for images, labels in self.data.training_batches(epoch, self.step):
            seed_step(self.plan.seed, epoch, self.step)
            yield self.data.normalise(images.to(self.device)), labels.to(self.device)

    def record(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one part's mean loss and wrong guesses to the running metrics."""
        self._metrics.add_part(loss, logits, labels)

    def record_penalty(self, penalty: Tensor) -> None:
        """Add the step's regularisation to the running metrics."""
        self._metrics.add_penalty(penalty)

    def record_gradients(self) -> None:
        """Note the l-infinity norm of each mixing row's gradient of this batch."""
        norms = {
            name: parameter.grad.detach().abs().flatten(1).amax(1)
            for name, parameter in self.model.named_parameters()
            if parameter.grad is not None
            and name.endswith(".weight")
            and any(name.startswith(f"{node}.") for node in self._mixing)
        }
        self._pending_gradients.append((self.total_steps + 1, norms))

    def finish_step(self, images: int) -> None:
        """Count a step; write records and checkpoints that are due; stop on a signal.

        Raises:
            RunError: the loss is not a number any more.
        """
        self.step += 1
        self._metrics.count_step()
        self.run.mark_step(self.total_steps)
        steps = self.data.steps_per_epoch
        at_interval = self.step % max(1, steps // LINES_PER_EPOCH) == 0 or self.step == steps
        if at_interval or self.device.type == "cpu":
            self._drain()
        loss = self._metrics.epoch_means()["loss"]
        self.progress.advance(images, f"epoch {self.epoch + 1}/{self.plan.epochs}  loss {loss:.4f}")
        if at_interval:
            self._write_interval()
        if self._is_checkpoint_due():
            self.save()
        if self._signal is not None:
            self._stop()

    def finish_epoch(self, validation: dict[str, Any] | None) -> None:
        """Close an epoch: learning rate, records, checkpoint, the snapshot where one is kept."""
        means = self._metrics.epoch_means()
        watched = validation["loss"] if validation is not None else means["loss"]
        self.learning_rate.finish_epoch(watched)
        self.epoch, self.step = self.epoch + 1, 0
        self._metrics.start_epoch()
        values = {"lr": self.learning_rate.value, "train": means, "validation": validation}
        self._files["metrics.jsonl"].append(
            {"kind": "epoch", "epoch": self.epoch, "step": self.total_steps}
            | values
            | {"time": {"seconds": round(self.seconds, 3)}}
        )
        self._events.add("epoch/train", self.epoch, means)
        self._events.add("epoch/validation", self.epoch, validation or {})
        scores = f", error {means['top1_error']:.4f}"
        if validation is not None:
            scores += (
                f"; validation loss {validation['loss']:.4f}, error {validation['top1_error']:.4f}"
            )
        self.progress.say(f"epoch {self.epoch}: loss {means['loss']:.4f}{scores}")
        if self.epoch % self.plan.checkpoint_every == 0:
            save_snapshot(self.run.checkpoints, self.model, self.epoch)
        self.save()
        if self._signal is not None:
            self._stop()

    def save(self) -> None:
        """Write the last state: all that another life needs to go on from here."""
        self._drain()
        state = self._facts() | {
            "epoch": self.epoch,
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.state_dict(),
            "metrics": self._metrics.state_dict(),
            "files": {name: file.position() for name, file in self._files.items()},
            "seconds": self.seconds,
        }
        self._events.flush()
        save_state(self.run.checkpoints, self.model, state)
        self._saved = time.monotonic()

    def _facts(self) -> dict[str, Any]:
        """Return what has to be the same where a state is taken up."""
        return {
            "training_digest": self.plan.training_digest,
            "steps_per_epoch": self.data.steps_per_epoch,
            "data": self.data.fingerprint,
        }

    def _restore(self) -> None:
        state = load_state(self.run.checkpoints)
        if state is None:
            for file in self._files.values():
                file.cut_back(0)
            return
        folder = find_last(self.run.checkpoints)
        assert folder is not None
        for name, own in self._facts().items():
            if state[name] != own:
                raise RunError(
                    f"{folder} is of another run: {name} is {state[name]}, here it is {own}",
                    "bring back what the run was started with, or start another one with --new",
                )
        load_weights(self.model, folder / WEIGHTS)
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate.load_state_dict(state["learning_rate"])
        self.epoch, self.step = state["epoch"], state["step"]
        self._metrics.load_state_dict(state["metrics"])
        self._seconds_before = state["seconds"]
        for name, file in self._files.items():
            file.cut_back(state["files"][name])

    def _drain(self) -> None:
        """Take in what the device has computed since the last call."""
        kind = self._metrics.drain()
        if kind is not None:
            self._fail(kind)
        for step, norms in self._pending_gradients:
            rows = {name: norm.tolist() for name, norm in norms.items()}
            self._files["gradients.jsonl"].append({"step": step, "linf": rows})
        self._pending_gradients.clear()

    def _fail(self, kind: str) -> NoReturn:
        saved = find_last(self.run.checkpoints)
        raise RunError(
            f"the {kind} is not a finite number any more, by step {self.total_steps} (epoch "
            f"{self.epoch + 1}); nothing of it was saved",
            "lower training.optimizer.lr, add warmup_epochs or use float32; "
            + (f"the last good state is {saved}" if saved else "no state was saved before"),
        )

    def _write_interval(self) -> None:
        means = self._metrics.take_interval_means()
        values = {"lr": self.learning_rate.value} | means
        speed = round(self.progress.images_per_second, 1)
        self._files["metrics.jsonl"].append(
            {"kind": "step", "epoch": self.epoch + 1, "step": self.total_steps}
            | values
            | {"time": {"seconds": round(self.seconds, 3), "images_per_second": speed}}
        )
        self._events.add("step", self.total_steps, values | {"images_per_second": speed})

    def _is_checkpoint_due(self) -> bool:
        if self._steps_between is not None and self.total_steps % self._steps_between == 0:
            return True
        return time.monotonic() - self._saved >= self._seconds_between

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    def _stop(self) -> NoReturn:
        assert self._signal is not None
        self.save()
        name = signal.Signals(self._signal).name
        self.progress.say(f"stopped by {name}; saved after {self.total_steps} steps, start again")
        raise SystemExit(128 + self._signal)
