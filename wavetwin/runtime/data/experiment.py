"""The images of one experiment: reader, splits, statistics and batches, as the plan says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wavetwin.compiler.plan import DataPlan, TrainingPlan
from wavetwin.runtime.data.batches import evaluation_loader, training_loader
from wavetwin.runtime.data.digits import read_digits
from wavetwin.runtime.data.idx import read_fashion_mnist, read_mnist
from wavetwin.runtime.data.root import find_data_root
from wavetwin.runtime.data.sources import ImageSet, SourcePair
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.json_files import read_json, write_json
from wavetwin.runtime.random_streams import epoch_order

Reader = Callable[[DataPlan, Path | None], SourcePair]


def _read_folder(data: DataPlan, root: Path | None) -> SourcePair:
    # Imported here: only this reader needs torchvision.
    from wavetwin.runtime.data.folder import read_folder

    return read_folder(data, root)


READERS: dict[str, Reader] = {
    "digits": read_digits,
    "mnist": read_mnist,
    "fashion_mnist": read_fashion_mnist,
    "folder": _read_folder,
}
"""By data set name."""


@dataclass
class ExperimentData:
    """Splits, and batches made from them by index."""

    plan: TrainingPlan
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    fingerprint: str
    """SHA-256 of what was read, for scores."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    workers: int = 0
    limit_batches: int | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch, the last short one included."""
        steps = math.ceil(len(self.train) / self.plan.batch_size)
        return steps if self.limit_batches is None else min(steps, self.limit_batches)

    def split(self, name: str) -> ImageSet:
        """Return `train`, `validation` or `test`.

        Raises:
            RunError: the split has no images.
        """
        images = {"train": self.train, "validation": self.validation, "test": self.test}[name]
        if len(images) == 0:
            raise RunError(f"the {name} split has no images", "set data.validation in the spec")
        return images

    def training_batches(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented images in [0, 1] and their labels from a step of an epoch on."""
        order = epoch_order(self.plan.seed, epoch, len(self.train))
        batches = order.split(self.plan.batch_size)[first_step : self.steps_per_epoch]
        yield from training_loader(
            self.train,
            [self.train.indices[batch] for batch in batches],
            self.plan,
            epoch,
            self.workers,
        )

    def evaluation_batches(
        self, split: str, transform: Callable[[Tensor], Tensor], batch_size: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield transformed images, in order and not normalised, with their labels."""
        chosen = self.split(split)
        batches = chosen.indices.split(batch_size or self.plan.batch_size)[: self.limit_batches]
        yield from evaluation_loader(chosen, list(batches), transform, self.workers)

    def num_images(self, split: str) -> int:
        """Return how many images `evaluation_batches` gives at the plan's batch size."""
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
    workers: int = 0,
    limit_batches: int | None = None,
    statistics_file: Path | None = None,
) -> ExperimentData:
    """Read the plan's data set and set validation images aside.

    Args:
        plan: what to read.
        data_root: from the command line; None: environment or the user's file.
        workers: processes that read and augment; 0: this one.
        limit_batches: at most so many batches an epoch and a split.
        statistics_file: where measured mean and std are kept for the next start.

    Raises:
        RunError: the data set is not readable in this version, not there, or not what the plan
            says.
    """
    data = plan.data
    reader = READERS.get(data.dataset)
    if reader is None:
        raise RunError(
            f"no reader for the data set '{data.dataset}'; readable: {', '.join(sorted(READERS))}",
            "lay its images out as train/<class>/* and val/<class>/* and use `dataset: folder`",
        )
    sources = reader(data, find_data_root(data_root))
    train, validation = split_training(sources, data)
    _check(data, sources, train)
    test = ImageSet(sources.test, torch.arange(len(sources.test.labels)))
    parts = [sources.train.fingerprint, sources.test.fingerprint]
    parts += [sources.validation.fingerprint] if sources.validation is not None else []
    fingerprint = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    mean, std = (
        (data.mean, data.std)
        if data.mean is not None and data.std is not None
        else _statistics(plan, train, fingerprint, workers, statistics_file)
    )
    return ExperimentData(
        plan, train, validation, test, fingerprint, mean, std, workers, limit_batches
    )


def split_training(sources: SourcePair, data: DataPlan) -> tuple[ImageSet, ImageSet]:
    """Return training and validation images: the first N, or the first N of each class.

    Raises:
        RunError: that leaves nothing to train on.
    """
    labels = sources.train.labels
    if data.validation_per_class and data.validation > 0:
        chosen = torch.zeros(len(labels), dtype=torch.bool)
        for label in range(data.num_classes):
            chosen[(labels == label).nonzero().flatten()[: data.validation]] = True
    else:
        chosen = torch.arange(len(labels)) < data.validation
    if bool(chosen.all()):
        raise RunError(
            f"data.validation {data.validation} sets all {len(labels)} training images aside",
            "set a smaller number",
        )
    train = ImageSet(sources.train, (~chosen).nonzero().flatten())
    if sources.validation is not None:
        return train, ImageSet(sources.validation, torch.arange(len(sources.validation.labels)))
    return train, ImageSet(sources.train, chosen.nonzero().flatten())


def _check(data: DataPlan, sources: SourcePair, train: ImageSet) -> None:
    if data.training_images is not None and len(train) != data.training_images:
        raise RunError(
            f"'{data.dataset}' leaves {len(train)} training images, the plan was built for "
            f"{data.training_images}",
            "the files are not the official data set: fetch them again",
        )
    for source in (sources.train, sources.test):
        highest = int(source.labels.max()) if len(source.labels) else 0
        if highest >= data.num_classes:
            raise RunError(
                f"'{data.dataset}' has class {highest}, the plan has {data.num_classes} classes",
                "set data.num_classes in the spec",
            )


def _statistics(
    plan: TrainingPlan, train: ImageSet, fingerprint: str, workers: int, file: Path | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std a channel over the training images as evaluation crops them."""
    key = [fingerprint, len(train), plan.data.image_size]
    if file is not None and file.is_file():
        known = read_json(file)
        if known["of"] == key:
            return tuple(known["mean"]), tuple(known["std"])
    total = torch.zeros(plan.data.channels, dtype=torch.float64)
    squares, pixels = torch.zeros_like(total), 0
    batches = list(train.indices.split(64))
    size = plan.data.image_size
    for images, _ in evaluation_loader(train, batches, lambda x: fit(x, size), workers):
        values = images.double().transpose(0, 1).flatten(1)
        total += values.sum(1)
        squares += values.square().sum(1)
        pixels += values.shape[1]
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp_min(0).sqrt()
    means, stds = tuple(mean.tolist()), tuple(max(s, 1e-6) for s in std.tolist())
    if file is not None:
        write_json(file, {"of": key, "mean": means, "std": stds})
    return means, stds
