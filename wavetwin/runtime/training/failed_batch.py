"""Keep the batch whose loss was not a finite number, for a closer look."""

from __future__ import annotations

import json
from pathlib import Path

from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.training.checkpoint import describe_last, write_weights
from wavetwin.runtime.training.mixed_images import mix_images
from wavetwin.runtime.training.running import NotFinite
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.training_batches import TrainingBatch

__all__ = [
    "describe_full_disk",
    "describe_not_finite",
    "keep_failed_batch",
    "save_failed_batch",
]


def save_failed_batch(
    run: Path,
    data: ExperimentData,
    fault: NotFinite,
    learning_rate: LearningRate,
    processes: Processes,
) -> Path:
    """Write `failed/step-<n>-rank<r>.safetensors` of this process's share; return the path.

    `images` are as the network gets them, (images, channels, height, width), normalised and mixed where the plan says so; `labels`
    their own classes; `positions` their positions in the training split. `failed_batch` in the header's
    metadata is JSON: what was not finite, and where in training. A batch follows from the seed, the epoch and the step, so
    it is made again here, also where the fault was noticed some steps later.
    """
    epoch, step = divmod(fault.step - 1, data.steps_per_epoch)
    batches = data.training_batches(epoch, step, processes.rank, processes.count)
    images, labels, positions = next(iter(batches))
    folder = run / "failed"
    folder.mkdir(exist_ok=True)
    images = data.normalise(images)
    if data.plan.mixes_images:
        whole = TrainingBatch(images, labels, labels, 1.0, len(labels), is_placeholder=False)
        images = mix_images(whole, data.plan, epoch, step).images
    file = folder / f"step-{fault.step:06d}-rank{processes.rank}.safetensors"
    info = {
        "not_finite": fault.kind,
        "epoch": epoch + 1,
        "step": fault.step,
        "learning_rate": learning_rate.value,
        "training_digest": data.plan.training_digest,
        "data": data.fingerprint,
        "bad_images": data.bad_images,
    }
    tensors = {"images": images, "labels": labels, "positions": positions}
    write_weights(file, tensors, {"failed_batch": json.dumps(info)})
    return file


def keep_failed_batch(
    run: Path,
    data: ExperimentData,
    fault: NotFinite,
    learning_rate: LearningRate,
    processes: Processes,
    saved: Path | None,
) -> RunError:
    """Write the batch of a fault and return the error that ends the training; `saved`: the last state."""
    file = save_failed_batch(run, data, fault, learning_rate, processes)
    return describe_not_finite(fault, file, data.steps_per_epoch, saved)


def describe_not_finite(
    fault: NotFinite, file: Path, steps_per_epoch: int, saved: Path | None
) -> RunError:
    """Return the error that ends a training whose numbers are not finite any more.

    Args:
        fault: what is not finite, and in which step.
        file: where its batch is kept.
        steps_per_epoch: to say the epoch.
        saved: the last state on disk.
    """
    epoch = (fault.step - 1) // steps_per_epoch + 1
    return RunError(
        "not-finite",
        f"the {fault.kind} is not a finite number any more in step {fault.step} (epoch {epoch}); "
        f"the batch is in {file}",
        "lower training.optimizer.lr, add warmup_epochs or use float32; "
        + (f"the last good state is {saved}" if saved else "no state was saved before"),
    )


def describe_full_disk(error: OSError, run: Path, checkpoints: Path) -> RunError:
    """Return the error that ends a run whose disk is full."""
    return RunError(
        write_code(error),
        f"cannot be written: {error.strerror}",
        describe_last(checkpoints),
        subject=error.filename or f"a file of {run}",
    )
