"""The bookkeeping of training; the loop itself stands in the generated script.

`TrainingRun` restores the last checkpoint, hands out epochs and batches from there, adds up the
running metrics, writes records and checkpoints, and stops cleanly on a signal. Under torchrun every
process has one: they take their share of each batch, agree after each step on what to do, and the
first one alone writes.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from wavetwin.diagnostics.terminal import complain
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.class_record import check_class_order
from wavetwin.runtime.process.errors import RunError, is_full
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.process.random_streams import seed_step
from wavetwin.runtime.process.scripts import STOP_SIGNALS
from wavetwin.runtime.training.checkpoint import (
    describe_last,
    find_last,
    find_not_finite,
    load_state,
    save_best,
    save_snapshot,
    save_state,
)
from wavetwin.runtime.training.failed_batch import save_failed_batch
from wavetwin.runtime.training.losses import row_gradients
from wavetwin.runtime.training.records import EventWriter, JsonLines
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.running import NotFinite, RunningMetrics
from wavetwin.runtime.training.saved_state import (
    NO_DIGESTS,
    Expected,
    check_state,
    load_last_weights,
)
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.training_batches import (
    Part,
    TrainingBatch,
    check_lambdas,
    check_parts,
    memory_format,
    placeholder_images,
)

__all__ = ["TrainingRun"]

LINES_PER_EPOCH = 20


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
        processes: Processes = ALONE,
    ) -> None:
        self.run, self.plan, self.data, self.device = run, plan, data, device
        self.model, self.optimizer, self.learning_rate = model, optimizer, learning_rate
        self.processes = processes
        self.epoch, self.step = 0, 0
        """Epochs done, and steps done in the current one."""
        self._seconds_before = 0.0
        self._best = math.inf
        """Lowest validation error so far."""
        self._kept: dict[str, str] = {}
        """SHA-256 of the best weights and of the snapshots, by file name."""
        self._notes: list[str] = []
        self._metrics = RunningMetrics(plan.regularisation is not None, processes)
        self._pending_gradients: list[tuple[int, dict[str, Tensor]]] = []
        self._files: dict[str, JsonLines] = {}
        if processes.is_first:
            self._files["metrics.jsonl"] = JsonLines(run.path / "metrics.jsonl")
            if plan.record_gradients:
                self._files["gradients.jsonl"] = JsonLines(run.path / "gradients.jsonl")
        self._seconds_between = run.arguments.checkpoint_seconds
        self._steps_between = run.arguments.checkpoint_steps
        self._signal: int | None = None
        self._is_validating = False
        try:
            check_lambdas(plan, model)
            check_parts(plan, graph, len(data.train), processes.count)
            self._restore()
            # Nobody saves before all have read the last state.
            self._check_same_state()
        except RunError:
            self._close_files()
            run.close()
            raise
        self.network = processes.wrap(model, device)
        """What the loop calls: the model, whose gradients are averaged over the processes."""

    def __enter__(self) -> TrainingRun:
        self._started = self._saved = time.monotonic()
        total = self.plan.epochs * self.data.steps_per_epoch
        self._old_handlers = {}
        if threading.current_thread() is threading.main_thread():
            # A command like nohup has SIGHUP ignored, so that it changes nothing.
            heard = [
                number
                for number in STOP_SIGNALS
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
            ]
            self._old_handlers = {s: signal.signal(s, self._on_signal) for s in heard}
        self.progress = ProgressReport(
            f"training {self.plan.name}",
            total,
            self.total_steps,
            self.processes.is_first,
            outlives_output=True,
        )
        self.progress.__enter__()
        self.run.note_data(self.data.data_notes, self.data.class_names)
        warnings = self.run.begin_life(self.total_steps, self.device, self.processes.count)
        for warning in [*self._notes, *warnings, *self.data.data_notes]:
            self.progress.say(f"warning: {warning}")
        self._events = (
            EventWriter(self.run.path / "events", self.total_steps)
            if self.processes.is_first
            else None
        )
        if self.total_steps > 0:
            self.progress.say(f"resumed after {self.epoch} epochs and {self.step} steps")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        full: BaseException | None = error
        try:
            if kind is None and find_last(self.run.checkpoints) is None:
                self.save()  # a plan of no epochs still has weights to evaluate
            if self._events is not None:
                self._events.close()
            self._close_files()
            outcome = "finished" if kind is None else "failed"
            self.run.end_life("stopped" if kind is SystemExit else outcome, self.seconds)
        except OSError as late:
            # On a full disk the first error is the one to tell.
            if error is None and not is_full(late):
                raise
            full = error or late
        finally:
            self.run.close()
            # Last: torchrun sends SIGTERM to the others as soon as one process has ended.
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
        if isinstance(full, OSError) and is_full(full):
            file = full.filename or f"a file of {self.run.path}"
            raise RunError(
                f"{file} cannot be written: {full.strerror}", describe_last(self.run.checkpoints)
            ) from full

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

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield what is left of an epoch; seeds each step's dropout.

        A batch of which every image is damaged is a step without an update. After the last one all
        processes have the first one's running statistics: those that are saved and validated.
        """
        rank, count = self.processes.rank, self.processes.count
        for images, labels, _ in self.data.training_batches(epoch, self.step, rank, count):
            seed_step(self.plan.seed, epoch, self.step, rank)
            (total,) = self.processes.sum([float(len(labels))])
            if total == 0:
                self._finish_step(0)
                continue
            is_placeholder = len(labels) == 0
            if is_placeholder:
                images, labels = placeholder_images(self.plan)
            images = self.data.normalise(images.to(self.device, non_blocking=True))
            yield TrainingBatch(
                images.contiguous(memory_format=memory_format(self.plan)),
                labels.to(self.device, non_blocking=True),
                int(total),
                is_placeholder,
            )
        self.processes.share_buffers(self.model)

    def parts(self, batch: TrainingBatch) -> Iterator[Part]:
        """Yield the parts of an accumulated batch; gradients are exchanged after the last one."""
        count = self.processes.count
        images, labels = (
            tensor.chunk(self.plan.accumulate) for tensor in (batch.images, batch.labels)
        )
        kept = [buffer.clone() for buffer in self.model.buffers()] if batch.is_placeholder else []
        for number, (part, part_labels) in enumerate(zip(images, labels, strict=True), 1):
            weight = 0.0 if batch.is_placeholder else len(part) / batch.total * count
            is_last = number == len(images)
            with self._exchange(is_last):
                yield Part(part, part_labels, weight, batch.is_placeholder)
        for buffer, value in zip(self.model.buffers(), kept, strict=bool(kept)):
            buffer.copy_(value)  # black images leave no trace in running statistics

    def record(self, loss: Tensor, logits: Tensor, part: Part) -> None:
        """Add one part's mean loss and wrong predictions to the running metrics."""
        if not part.is_placeholder:
            self._metrics.add_part(self.total_steps + 1, loss, logits, part.labels)

    def record_penalty(self, penalty: Tensor) -> None:
        """Add the step's regularisation to the running metrics."""
        self._metrics.add_penalty(self.total_steps + 1, penalty)

    def record_gradients(self) -> None:
        """Note the l-infinity norm of each mixing row's gradient of this batch, if it is wanted."""
        if not self.plan.record_gradients:
            return
        self._pending_gradients.append((self.total_steps + 1, row_gradients(self.model)))

    def finish_step(self, batch: TrainingBatch) -> None:
        """Count a step; write records and checkpoints that are due; stop on a signal.

        Raises:
            RunError: the loss is not a number any more, or the disk is full.
        """
        self._metrics.count_step(self.total_steps + 1)
        self._finish_step(batch.total)

    def _finish_step(self, images: int) -> None:
        self.step += 1
        self.run.mark_step(self.total_steps)
        steps = self.data.steps_per_epoch
        at_interval = self.step % max(1, steps // LINES_PER_EPOCH) == 0 or self.step == steps
        if at_interval or self.device.type == "cpu":
            self._drain()
        loss = self._metrics.epoch_means()["loss"]
        note = f"epoch {self.epoch + 1}/{self.plan.epochs}  loss {loss:z.4f}"
        self.progress.advance(images, note)
        if at_interval:
            self._write_interval()
        is_due, stop = self.processes.any(int(self._is_checkpoint_due()), self._asked_to_stop)
        if is_due:
            self.save()
        if stop:
            self._stop(stop)

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Save, then let a signal end the script at once: nothing is lost while scores are made."""
        self.save()
        (stop,) = self.processes.any(self._asked_to_stop)
        if stop:
            self._leave(stop)
        self._is_validating = True
        try:
            yield
        finally:
            self._is_validating = False

    def finish_epoch(self, validation: Mapping[str, Any] | None) -> None:
        """Close an epoch: learning rate, records, checkpoint, the snapshots that are kept.

        Raises:
            RunError: the validation loss is not a finite number, or the disk is full.
        """
        means = self._metrics.epoch_means()
        if validation is not None and not math.isfinite(validation["loss"]):
            self._fail(NotFinite("validation loss", self.total_steps))
        watched = validation["loss"] if validation is not None else means["loss"]
        self.learning_rate.finish_epoch(watched)
        self.epoch, self.step = self.epoch + 1, 0
        self._metrics.start_epoch()
        values = {"lr": self.learning_rate.value, "train": means, "validation": validation}
        self._append(
            "metrics.jsonl",
            {"kind": "epoch", "epoch": self.epoch, "step": self.total_steps}
            | values
            | {"time": {"seconds": round(self.seconds, 3)}},
        )
        if self._events is not None:
            self._events.add("epoch/train", self.epoch, means)
            self._events.add("epoch/validation", self.epoch, validation or {})
        scores = f", error {means['top1_error']:z.4f}"
        if validation is not None:
            scores += f"; validation loss {validation['loss']:z.4f}, error {validation['top1_error']:z.4f}"
        self.progress.say(f"epoch {self.epoch}: loss {means['loss']:z.4f}{scores}")
        if self.processes.is_first and self.epoch % self.plan.checkpoint_every == 0:
            self._keep(save_snapshot(self.run.checkpoints, self.model, self.epoch))
        if validation is not None and validation["top1_error"] < self._best:
            self._best = validation["top1_error"]
            if self.processes.is_first:
                self._keep(save_best(self.run.checkpoints, self.model, self.epoch))
        self.run.note_bad_images(self.processes.gather(self.data.bad_images))
        self.save()
        (stop,) = self.processes.any(self._asked_to_stop)
        if stop:
            self._stop(stop)

    def save(self) -> None:
        """Write the last state: all that another life needs to go on from here.

        Raises:
            RunError: it cannot be written, or has a value that is not finite; the one before is kept.
        """
        self._drain()
        self._saved = time.monotonic()
        broken = find_not_finite(self.model)
        if self.processes.any(int(broken is not None))[0]:
            names = [name for name in self.processes.gather(broken) if name is not None]
            self._fail(NotFinite(f"value of {names[0]}", self.total_steps))
        if not self.processes.is_first:
            return
        state = self._expected().identity() | {
            "epoch": self.epoch,
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.state_dict(),
            "metrics": self._metrics.state_dict(),
            "best": self._best,
            "files": {name: file.position() for name, file in self._files.items()},
            "kept": self._kept,
            "seconds": self.seconds,
        }
        if self._events is not None:
            self._events.flush()
        self.run.note_weights(save_state(self.run.checkpoints, self.model, state))
        self._saved = time.monotonic()

    def _exchange(self, wanted: bool) -> AbstractContextManager[None]:
        """Return the context in which a backward pass exchanges gradients, or leaves it."""
        if wanted or not isinstance(self.network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.network.no_sync()

    def _expected(self) -> Expected:
        return Expected(
            self.plan,
            self.data.steps_per_epoch,
            self.data.fingerprint,
            tuple(self._files),
            self.optimizer,
        )

    def _restore(self) -> None:
        state = load_state(self.run.checkpoints)
        if state is None:
            self.run.check_nothing_was_saved()
            for file in self._files.values():
                file.cut_back(0)
            return
        folder = find_last(self.run.checkpoints)
        assert folder is not None
        check_class_order(self.run.manifest, self.data.class_names, self.run.path)
        check_state(state, folder, self._expected())
        # All is compared before anything is cut.
        for name, file in self._files.items():
            file.check(state["files"][name])
        load_last_weights(self.model, folder, state)
        for name, file in self._files.items():
            file.cut_back(state["files"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate.load_state_dict(state["learning_rate"])
        self.epoch, self.step = state["epoch"], state["step"]
        self._metrics.load_state_dict(state["metrics"])
        self._best = state["best"]
        self._seconds_before = state["seconds"]
        self._kept = dict(state.get("kept", {}))
        if "weights_sha256" not in state:
            self._notes.append(NO_DIGESTS)

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()

    def _keep(self, kept: tuple[str, str]) -> None:
        name, digest = kept
        self._kept[name] = digest

    def _check_same_state(self) -> None:
        positions = self.processes.gather((self.epoch, self.step))
        if len(set(positions)) > 1:
            raise RunError(
                f"the processes see other states in {self.run.checkpoints}: (epoch, step) {positions}",
                "all machines of a run need one shared folder for runs: --runs names it",
            )

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name in self._files:
            self._files[name].append(record)

    def _drain(self) -> None:
        """Take in what the device has computed since the last call."""
        fault = self._metrics.drain()
        if fault is not None:
            self._fail(fault)
        for step, norms in self._pending_gradients:
            rows = {name: norm.tolist() for name, norm in norms.items()}
            if not all(math.isfinite(value) for row in rows.values() for value in row):
                self._fail(NotFinite("gradient", step))
            self._append("gradients.jsonl", {"step": step, "linf": rows})
        self._pending_gradients.clear()

    def _fail(self, fault: NotFinite) -> NoReturn:
        """Keep the batch that did it, and stop."""
        file = save_failed_batch(
            self.run.path, self.data, fault, self.learning_rate, self.processes
        )
        saved = find_last(self.run.checkpoints)
        epoch = (fault.step - 1) // self.data.steps_per_epoch + 1
        raise RunError(
            f"the {fault.kind} is not a finite number any more in step {fault.step} (epoch {epoch}); "
            f"the batch is in {file}",
            "lower training.optimizer.lr, add warmup_epochs or use float32; "
            + (f"the last good state is {saved}" if saved else "no state was saved before"),
        )

    def _write_interval(self) -> None:
        means = self._metrics.take_interval_means()
        values = {"lr": self.learning_rate.value} | means
        speed = round(self.progress.images_per_second, 1)
        self._append(
            "metrics.jsonl",
            {"kind": "step", "epoch": self.epoch + 1, "step": self.total_steps}
            | values
            | {"time": {"seconds": round(self.seconds, 3), "images_per_second": speed}},
        )
        if self._events is not None:
            self._events.add("step", self.total_steps, values | {"images_per_second": speed})

    def _is_checkpoint_due(self) -> bool:
        if self._steps_between is not None and self.total_steps % self._steps_between == 0:
            return True
        # The first process's clock decides for all.
        late = time.monotonic() - self._saved >= self._seconds_between
        return self.processes.is_first and late

    @property
    def _asked_to_stop(self) -> int:
        """The signal to stop by; SIGPIPE where nobody takes the output any more, 0 for none."""
        return self._signal or (signal.SIGPIPE if self.progress.lost is not None else 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_validating:
            self._leave(number)
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    def _stop(self, number: int) -> NoReturn:
        self.save()
        self._leave(number)

    def _leave(self, number: int) -> NoReturn:
        self._is_validating = False
        name = signal.Signals(number).name
        lost = self.progress.lost
        self.progress.say(f"stopped by {name}; saved after {self.total_steps} steps, start again")
        if lost is not None and number == signal.SIGPIPE:
            with suppress(OSError):
                complain(
                    f"stopped: standard output cannot be written ({lost.strerror}); "
                    f"saved after {self.total_steps} steps, start again\n"
                )
        raise SystemExit(128 + number)
