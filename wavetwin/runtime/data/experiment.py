"""Make the images of one experiment: reader, splits, statistics and batches, as the plan says."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data.batches import Loading, evaluation_loader, training_loader
from wavetwin.runtime.data.held_out import set_aside
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images, known_dataset
from wavetwin.runtime.data.root import find_data_root
from wavetwin.runtime.data.sources import (
    Batch,
    ImageSet,
    SourcePair,
    TensorImages,
    open_sources,
)
from wavetwin.runtime.data.splits import make_splits
from wavetwin.runtime.data.statistics import known_statistics, measure_statistics
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.random_streams import epoch_order

__all__ = ["ExperimentData", "load_data"]

MOST_WORKERS = 8
"""Reading processes where the user does not say how many."""
DEVICE_BYTES = 2 << 30
"""Images in memory below this size are kept on the accelerator."""
STATISTICS_BATCH = 64


@dataclass
class ExperimentData:
    """Splits, and batches made from them by position."""

    plan: TrainingPlan
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    fingerprint: str
    """SHA-256 of what was read, for scores."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loading: Loading
    limit_batches: int | None = None
    data_notes: list[str] = field(default_factory=list)
    """What is not the official data set, where that was allowed."""
    no_training: RunError | None = None
    """Why there are no training images, where the test set alone is there."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of their numbers; None where they are numbers."""
        return self.test.source.class_names

    @property
    def workers(self) -> int:
        """Processes that read files; 0: this one."""
        return self.loading.workers

    @property
    def bad_images(self) -> dict[str, str]:
        """Damaged images that this process has left out so far, by file, with the reason."""
        return self.loading.bad_images

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch, the last short one included.

        Raises:
            RunError: there are no training images.
        """
        if self.no_training is not None:
            raise self.no_training
        steps = math.ceil(len(self.train) / self.plan.batch_size)
        return steps if self.limit_batches is None else min(steps, self.limit_batches)

    @property
    def validation_note(self) -> str | None:
        """What validates, of a user's own images; None of others, whose data set says it."""
        held_out = self.plan.data.validation
        if not known_dataset(self.plan.data).is_own:
            return None
        if held_out:
            return f"validation: {held_out} of each class, held out of the training images"
        if len(self.validation):
            return f"validation: the {len(self.validation)} images of val"
        return (
            "validation: none, no images are held out (data.validation) and val is not beside test"
        )

    def split(self, name: str) -> ImageSet:
        """Return `train`, `validation` or `test`.

        Raises:
            RunError: the split has no images.
        """
        images = {"train": self.train, "validation": self.validation, "test": self.test}[name]
        if len(images) == 0 and self.no_training is not None:
            raise self.no_training
        if len(images) == 0:
            raise RunError(
                "no-images", f"the {name} split has no images", "set data.validation in the spec"
            )
        return images

    def training_batches(
        self, epoch: int, first_step: int = 0, rank: int = 0, processes: int = 1
    ) -> Iterator[Batch]:
        """Yield this process's share of the augmented batches from a step of an epoch on.

        `plan.batch_size` is the size of a batch over all processes; a share may be empty.

        Raises:
            RunError: an image is damaged and none are left out, or a reading process was killed.
        """
        order = epoch_order(self.plan.seed, epoch, len(self.train))
        batches = order.split(self.plan.batch_size)[first_step : self.steps_per_epoch]
        shares = [batch.tensor_split(processes)[rank] for batch in batches]
        statistics = self.mean, self.std
        yield from training_loader(self.train, shares, self.plan, epoch, self.loading, statistics)

    def evaluation_batches(
        self,
        split: str,
        transform: Callable[[Tensor], Tensor],
        batch_size: int | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> Iterator[Batch]:
        """Yield the batches number rank, rank + processes, ... of a split, in order, transformed.

        A batch has the same images whatever the number of processes. `transform` maps float images
        (..., channels, height, width) in [0, 1]: one image of a file, whole batches from memory.

        Raises:
            RunError: as `training_batches`; or the split has no images.
        """
        images = self.split(split)
        positions = torch.arange(len(images)).split(batch_size or self.plan.batch_size)
        own = positions[: self.limit_batches][rank::processes]
        yield from evaluation_loader(images, own, transform, self.loading)

    def num_images(self, split: str) -> int:
        """Return how many images `evaluation_batches` gives at the plan's batch size.

        Damaged images that are left out are counted: nobody knows of them before they are read.
        """
        count = len(self.split(split))
        if self.limit_batches is None:
            return count
        return min(count, self.limit_batches * self.plan.batch_size)

    def normalise(self, images: Tensor) -> Tensor:
        """Return images of values in [0, 1] with mean subtracted and divided by std."""
        mean = images.new_tensor(self.mean).reshape(-1, 1, 1)
        std = images.new_tensor(self.std).reshape(-1, 1, 1)
        return (images - mean) / std


def load_data(
    plan: TrainingPlan,
    *,
    data_root: Path | None = None,
    workers: int | None = None,
    limit_batches: int | None = None,
    statistics_file: Path | None = None,
    on_bad_image: str = "stop",
    allow_other_data: bool = False,
    device: torch.device | None = None,
) -> ExperimentData:
    """Read the plan's data set and set validation images aside.

    Args:
        plan: what to read.
        data_root: from the command line; None: environment or the user's file.
        workers: processes that read image files, or change images in memory by listed transforms; 0:
            this one; None: as many as there are cores, at most eight. Other images in memory need none.
        limit_batches: at most so many batches an epoch and a split.
        statistics_file: where measured mean and std are kept for the next start.
        on_bad_image: `stop` at a damaged image, or `skip` it and note it in `bad_images`.
        allow_other_data: accept data that are not the official ones, and note what differs.
        device: where the model is; small data sets live there where it is CUDA.

    Raises:
        RunError: the data set is not there, not readable or not what the plan says.
        ValueError: on_bad_image is neither.
    """
    if on_bad_image not in ("stop", "skip"):
        raise ValueError(f"on_bad_image is {on_bad_image!r}, neither 'stop' nor 'skip'")
    data, official = plan.data, Official(allow_other_data)
    found = find_images(data, find_data_root(data_root), official)
    positions = set_aside(found, data, official)
    sources = open_sources(found, data.channels)
    parts = [sources.train.fingerprint, sources.test.fingerprint]
    parts += [sources.validation.fingerprint] if sources.validation is not None else []
    fingerprint = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    train, validation, test = make_splits(sources, positions)
    on_cuda = device is not None and device.type == "cuda"
    # Listed transforms change an image at a time, on the CPU.
    in_memory = _in_memory(sources) if isinstance(data.augmentation, str) else []
    num_bytes = sum(source.images.nbytes for source in in_memory)
    if device is not None and on_cuda and in_memory and num_bytes < DEVICE_BYTES:
        moved = {id(s): s.to(device) for s in _in_memory(sources)}
        train, validation, test = (
            ImageSet(moved[id(images.source)], images.indices)
            for images in (train, validation, test)
        )
    loading = Loading(
        workers=workers if workers is not None else 0 if in_memory else _default_workers(),
        skips_bad=on_bad_image == "skip",
        pins=on_cuda,
    )
    if data.mean is not None and data.std is not None:
        mean, std = data.mean, data.std
    elif found.no_training is not None:
        mean, std = known_statistics(statistics_file, data.channels)
    else:
        size = data.sides
        batches = torch.arange(len(train)).split(STATISTICS_BATCH)
        mean, std = measure_statistics(
            evaluation_loader(train, batches, lambda image: fit(image, size), loading),
            data.channels,
            [fingerprint, len(train), data.to_json()["image_size"]],
            statistics_file,
        )
    return ExperimentData(
        plan,
        train,
        validation,
        test,
        fingerprint,
        mean,
        std,
        loading,
        limit_batches,
        official.notes,
        found.no_training,
    )


def _default_workers() -> int:
    """Return the cores that this process may use, shared with torchrun's others; at most eight."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return min(MOST_WORKERS, max(1, cores // (int(beside) if beside.isdigit() else 1)))


def _in_memory(sources: SourcePair) -> list[TensorImages]:
    """Return the sources that are held in memory: all of a data set's, or none."""
    return [s for s in (sources.train, sources.test) if isinstance(s, TensorImages)]
