"""Keep the records and the state of training; the loop itself stands in the generated script.

`TrainingRun` restores the last checkpoint, hands out epochs and batches from there, adds up the
running metrics, writes records and checkpoints, and stops cleanly on a signal. Under torchrun every
process has one: they take their share of each batch, agree after each step on what to do, and the
first one alone writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.class_record import check_class_order
from wavetwin.runtime.process.errors import RunError, fault_code, is_full
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.process.random_streams import seed_step
from wavetwin.runtime.training.checkpoint import find_last, find_not_finite, load_state, save_state
from wavetwin.runtime.training.deciding_record import check_kernel, deciding_record
from wavetwin.runtime.training.early_stopping import EarlyStopping
from wavetwin.runtime.training.epochs_left import epochs_left
from wavetwin.runtime.training.failed_batch import describe_full_disk, keep_failed_batch
from wavetwin.runtime.training.kept_weights import KeptWeights
from wavetwin.runtime.training.loss_scaler import LossScaler
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.run_records import RunRecords, describe_epoch
from wavetwin.runtime.training.running import NotFinite
from wavetwin.runtime.training.save_clock import SaveClock
from wavetwin.runtime.training.saved_state import (
    NO_DIGESTS,
    Expected,
    check_same_position,
    take_up_state,
)
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.session_log import SessionLog
from wavetwin.runtime.training.stop_request import StopRequest
from wavetwin.runtime.training.training_batches import (
    KeptBuffers,
    TrainingBatch,
    check_lambdas,
    check_micro_batches,
    prepare_batch,
    split_batch,
)
from wavetwin.runtime.training.weight_average import WeightAverage

__all__ = ["TrainingRun"]

LINES_PER_EPOCH = 20


class TrainingRun:
    """One session of a training run: from the last checkpoint to the end, a signal or a failure."""

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
        average: WeightAverage | None = None,
        scaler: LossScaler | None = None,
        network: nn.Module | None = None,
    ) -> None:
        self.run, self.plan, self.data, self.device = run, plan, data, device
        self.model, self.optimizer, self.learning_rate = model, optimizer, learning_rate
        self.processes, self._average, self._scaler = processes, average, scaler
        self.epoch, self.step = 0, 0
        """Epochs done, and steps done in the current one."""
        self._seconds_before = 0.0
        self._kept = KeptWeights(run.checkpoints, plan, processes.is_first)
        self._stopping = EarlyStopping(plan.early_stopping)
        recorded = plan.regularisation is not None, plan.record_gradients
        self._records = RunRecords(run.path, *recorded, processes, scaler is not None)
        self._save_clock = SaveClock(run.arguments, processes.is_first)
        self._stop_request = StopRequest()
        self._kept_buffers = KeptBuffers(model)
        try:
            self._log = SessionLog(run, plan, graph, model, processes)
            check_lambdas(plan, model)
            self._notes = check_kernel(run, plan, device, processes)
            check_micro_batches(plan, graph, len(data.train), processes.count)
            self._restore()
            # Nobody saves before all have read the last state.
            check_same_position((self.epoch, self.step), run.checkpoints, processes)
        except RunError:
            self._records.close()
            run.close()
            raise
        self.network = processes.wrap(network or model, device)
        """What the loop calls: the model, whose gradients are averaged over the processes."""

    def __enter__(self) -> TrainingRun:
        self._started = time.monotonic()
        self._save_clock.restart()
        self._stop_request.install()
        self.progress = ProgressReport(
            f"training {self.plan.name}",
            self.plan.epochs * self.data.steps_per_epoch,
            self.total_steps,
            self.processes.is_first,
            outlives_output=True,
        )
        self.progress.__enter__()
        self.run.note_data(self.data.data_notes, self.data.class_names)
        self.run.note_identity()
        deciding = deciding_record(self.plan, self.device, self.processes)
        count = self.processes.count
        warnings = self.run.begin_life(self.total_steps, self.device, count, deciding)
        for warning in [*self._notes, *warnings, *self.data.data_notes]:
            self.progress.say(f"warning: {warning}")
        if self.data.validation_note is not None:
            self.progress.say(self.data.validation_note)
        self._log.begin(self.total_steps, self.epoch)
        self._records.log_with(self._log.loggers)
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
            outcome = "finished" if kind is None else "failed"
            outcome = "stopped" if kind is SystemExit else outcome
            self._log.loggers.close(outcome)
            self._records.close()
            fault = fault_code(error) if outcome == "failed" else None
            self.run.end_life(outcome, self.seconds, fault)
        except OSError as late:
            # On a full disk the first error is the one to report.
            if error is None and not is_full(late):
                raise
            full = error or late
        finally:
            self.run.close()
            # Last: torchrun sends SIGTERM to the others as soon as one process has ended.
            self._stop_request.restore()
        if isinstance(full, OSError) and is_full(full):
            raise describe_full_disk(full, self.run.path, self.run.checkpoints) from full

    @property
    def total_steps(self) -> int:
        """Steps done since the start of training."""
        return self.epoch * self.data.steps_per_epoch + self.step

    @property
    def seconds(self) -> float:
        """Time spent on training, over all sessions."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def epoch_loss(self) -> float:
        """Mean training loss of the current epoch so far, over all processes."""
        return self._records.means.epoch_means()["loss"]

    def epochs(self) -> Iterator[int]:
        """Yield the epochs that are left, counted from 0 (`epochs_left`)."""
        return epochs_left(self.run, self.plan, self.epoch, self._stopping, self.progress)

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield what is left of an epoch; seeds each step's dropout.

        A batch of which every image is damaged is a step without an update. After the last one all
        processes have the first one's running statistics: those that are saved and validated.
        """
        rank, count = self.processes.rank, self.processes.count
        for images, labels, _ in self.data.training_batches(epoch, self.step, rank, count):
            seed_step(self.device, self.plan.seed, epoch, self.step, rank)
            (total,) = self.processes.sum([float(len(labels))])
            if total == 0:
                self._finish_step(0)
                continue
            batch = prepare_batch(images, labels, int(total), self.data, self.device, count)
            if batch.is_placeholder:
                self._kept_buffers.keep()
            yield batch
        self.processes.share_buffers(self.model)
        if self._average is not None:
            self.processes.share_buffers(self._average.model)

    def micro_batches(self, batch: TrainingBatch) -> Iterator[TrainingBatch]:
        """Yield what of a batch goes through the network at once, `plan.accumulate` in all.

        Gradients are exchanged between the processes after the last one.
        """
        parts = split_batch(batch, self.plan.accumulate, self.processes.count)
        for number, part in enumerate(parts, 1):
            with self.processes.exchange(self.network, number == len(parts)):
                yield part

    def record(self, loss: Tensor, logits: Tensor, batch: TrainingBatch) -> None:
        """Add the mean loss and the wrong predictions of a batch, or of a part of it."""
        if not batch.is_placeholder:
            self._records.means.add_part(self.total_steps + 1, loss, logits, batch.labels)

    def record_penalty(self, penalty: Tensor) -> None:
        """Add the step's regularisation to the running metrics."""
        self._records.means.add_penalty(self.total_steps + 1, penalty)

    def record_gradients(self) -> None:
        """Note the l-infinity norm of each mixing row's gradient of this batch."""
        self._records.add_gradients(self.total_steps + 1, self.model)

    def finish_step(self, batch: TrainingBatch) -> None:
        """Count a step and average the weights; write what is due; stop on a signal.

        Raises:
            RunError: the loss is not a number any more, or the disk is full.
        """
        self._kept_buffers.restore()
        if self._average is not None:
            self._average.update()
        if self._scaler is not None and self._scaler.has_failed:
            self._fail(NotFinite("gradient", self.total_steps + 1))
        self._records.means.count_step(self.total_steps + 1)
        self._finish_step(batch.total)

    def _finish_step(self, images: int) -> None:
        self.step += 1
        self.run.mark_step(self.total_steps)
        steps = self.data.steps_per_epoch
        at_interval = self.step % max(1, steps // LINES_PER_EPOCH) == 0 or self.step == steps
        if at_interval or self.device.type == "cpu":
            self._drain()
        note = f"epoch {self.epoch + 1}/{self.plan.epochs}  loss {self.epoch_loss:z.4f}"
        self.progress.advance(images, note)
        if at_interval:
            self._records.write_interval(
                self.epoch + 1,
                self.total_steps,
                self.learning_rate.value,
                self.seconds,
                self.progress.images_per_second,
            )
        is_due, stop = self.processes.any(
            int(self._save_clock.is_due(self.total_steps)), self._stop_request.number(self.progress)
        )
        if is_due:
            self.save()
        if stop:
            self._stop(stop)

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Save, then let a signal end the script at once: nothing is lost while scores are made."""
        self.save()
        (stop,) = self.processes.any(self._stop_request.number(self.progress))
        if stop:
            self._leave(stop)
        self._stop_request.leaves_at_once = self._leave
        try:
            yield
        finally:
            self._stop_request.leaves_at_once = None

    def finish_epoch(
        self,
        validation: Mapping[str, Any] | None = None,
        averaged: Mapping[str, Any] | None = None,
    ) -> None:
        """Close an epoch: records, checkpoint, the snapshots that are kept.

        Args:
            validation: the scores on the images that are held out, where there are any.
            averaged: those of the averaged weights, where there are such.

        Raises:
            RunError: the validation loss is not a finite number, or the disk is full.
        """
        for scores in (validation, averaged):
            if scores is not None and not math.isfinite(scores["loss"]):
                self._fail(NotFinite("validation loss", self.total_steps))
        self.epoch, self.step = self.epoch + 1, 0
        scaling = self._scaler and self._scaler.take_epoch()
        position = self.epoch, self.total_steps, self.learning_rate.value
        scores = validation, self.seconds, averaged
        means = self._records.write_epoch(*position, *scores, scaling)
        self._log.add_first_layer(self.epoch)
        self.progress.say(describe_epoch(self.epoch, means, validation, averaged, scaling))
        self._stopping.follow(validation)
        self._kept.after_epoch(self.epoch, self.model, validation)
        self.run.note_bad_images(self.processes.gather(self.data.bad_images))
        self.save()
        (stop,) = self.processes.any(self._stop_request.number(self.progress))
        if stop:
            self._stop(stop)

    def save(self) -> None:
        """Write the last state: all that another session needs to go on from here.

        Raises:
            RunError: it cannot be written, or has a value that is not finite; the one before is kept.
        """
        self._drain()
        self._save_clock.restart()
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
            "early_stopping": self._stopping.state_dict(),
            **({"loss_scaler": self._scaler.state_dict()} if self._scaler else {}),
            "seconds": self.seconds,
            **self._kept.state_dict(),
            **self._records.state(),
        }
        average = self._average and self._average.model
        written = save_state(self.run.checkpoints, self.model, state, average)
        self.run.note_weights(written)
        self._save_clock.restart()

    def _expected(self) -> Expected:
        return Expected(
            self.plan,
            self.data.steps_per_epoch,
            self.data.fingerprint,
            self._records.files,
            self.optimizer,
            self._stopping,
            self._average and self._average.model,
            self._scaler,
        )

    def _restore(self) -> None:
        state = load_state(self.run.checkpoints)
        if state is None:
            self.run.check_nothing_was_saved()
            self._records.cut_back(None)
            return
        folder = find_last(self.run.checkpoints)
        assert folder is not None
        check_class_order(self.run.manifest, self.data.class_names, self.run.path)
        take_up_state(
            state,
            folder,
            self._expected(),
            self.model,
            self.optimizer,
            self.learning_rate,
            self._records,
        )
        self.epoch, self.step = state["epoch"], state["step"]
        self._kept.load_state_dict(state)
        self._seconds_before = state["seconds"]
        if "weights_sha256" not in state:
            self._notes.append(NO_DIGESTS)

    def _drain(self) -> None:
        """Take in what the device has computed since the last call."""
        fault = self._records.drain()
        if fault is not None:
            self._fail(fault)

    def _fail(self, fault: NotFinite) -> NoReturn:
        """Keep the batch that did it, and stop."""
        kept = self.run.path, self.data, fault, self.learning_rate, self.processes
        raise keep_failed_batch(*kept, find_last(self.run.checkpoints))

    def _stop(self, number: int) -> NoReturn:
        self.save()
        self._leave(number)

    def _leave(self, number: int) -> NoReturn:
        self._stop_request.leave(number, self.progress, self.total_steps)
