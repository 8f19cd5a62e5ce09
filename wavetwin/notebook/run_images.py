"""Give a run's images as its network takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from wavetwin.explain.report.runs import Run as Documents
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.data.class_record import check_class_order
from wavetwin.runtime.data.sources import ImageSet
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.evaluation.class_counts import class_labels
from wavetwin.runtime.process.errors import RunError

__all__ = ["RunImages"]

_SPLITS = ("train", "validation", "test")


class RunImages(Dataset[tuple[Tensor, int]]):
    """Images of a split with their labels, in the split's order: a data set for a `DataLoader`, too.

    An image is resized and cropped as `one_crop` evaluates it, and normalised: float32 (channels,
    height, width).
    """

    def __init__(self, data: ExperimentData, images: ImageSet, split: str) -> None:
        self.split = split
        self._data, self._images = data, images

    @staticmethod
    def of_run(run: Documents, split: str, data_root: Path | str | None) -> RunImages:
        """Return the images of a split of a run's data set.

        Raises:
            RunError: they are not there, there is no such split, or classes have other numbers.
        """
        assert run.plan is not None
        if split not in _SPLITS:
            raise RunError(
                "bad-argument", f"there is no split {split!r}", f"name one of {', '.join(_SPLITS)}"
            )
        data = load_data(
            run.plan,
            data_root=None if data_root is None else Path(data_root),
            workers=0,
            statistics_file=run.folder / "statistics.json",
        )
        check_class_order(run.manifest, data.class_names, run.folder)
        return RunImages(data, data.split(split), split)

    @property
    def labels(self) -> Tensor:
        """Of all images, int64 (images,)."""
        return self._images.source.labels[self._images.indices].cpu()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers."""
        plan = self._data.plan.data
        return class_labels(self._data.class_names, plan.dataset, plan.num_classes)

    @property
    def files(self) -> tuple[str, ...] | None:
        """Paths of the images below the split's folder; None where they are no files."""
        return self._images.file_names(torch.arange(len(self)))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image, normalised, and its label."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{index} of {len(self)} images")
        # Not `self.labels[index]`, which would gather the labels of the whole split for one image.
        label = self._images.source.labels[self._images.indices[index]]
        return self._data.normalise(self.picture(index)), int(label)

    def picture(self, index: int) -> Tensor:
        """Return one image as a person sees it: values in [0, 1], (channels, height, width)."""
        source = self._images.source
        stored = source.load([int(self._images.indices[index])])[0]
        return fit(stored.float() / source.maximum, self._data.plan.data.image_size)

    def batches(self, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images and labels in batches, normalised; default: the plan's batch size.

        Raises:
            RunError: an image is damaged.
        """
        size = self._data.plan.data.image_size
        for batch in self._data.evaluation_batches(
            self.split, lambda image: fit(image, size), batch_size
        ):
            yield self._data.normalise(batch.images), batch.labels

    def __repr__(self) -> str:
        plan = self._data.plan.data
        return (
            f"RunImages({plan.dataset}, {self.split}: {len(self):,} images of {plan.num_classes} "
            "classes)"
        )
