"""Call the reader that a data set names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

__all__ = ["find_images", "known_dataset"]

Reader = Callable[[DataPlan, Path | None, Official], Found]


def known_dataset(data: DataPlan) -> Dataset:
    """Return what is known of a plan's data set.

    Raises:
        RunError: there is no such data set: the plan is of another wavetwin.
    """
    dataset = DATASETS.get(data.dataset)
    if dataset is None:
        raise RunError(
            "unknown-name",
            f"no reader for the data set '{data.dataset}'; readable: {', '.join(sorted(DATASETS))}",
            "lay its images out as train/<class>/* and val/<class>/* and use `dataset: folder`",
        )
    return dataset


def find_images(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return what the disk has of a plan's data set; imports no torch.

    Raises:
        RunError: there is no such data set, or it is not there, not whole or not official.
    """
    read: Reader = resolve_name(known_dataset(data).reader)
    return read(data, root, official)
