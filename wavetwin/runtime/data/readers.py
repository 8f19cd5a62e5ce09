"""List the readers of all data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.cifar import read_cifar
from wavetwin.runtime.data.detected import Found
from wavetwin.runtime.data.digits import read_digits
from wavetwin.runtime.data.folder import read_folder
from wavetwin.runtime.data.idx import read_idx_images
from wavetwin.runtime.data.imagenet import read_imagenet
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.tiny_imagenet import read_tiny_imagenet
from wavetwin.runtime.process.errors import RunError

__all__ = ["READERS", "find_images"]

Reader = Callable[[DataPlan, Path | None, Official], Found]

READERS: dict[str, Reader] = {
    "cifar10": read_cifar,
    "cifar100": read_cifar,
    "digits": read_digits,
    "fashion_mnist": read_idx_images,
    "folder": read_folder,
    "imagenet": read_imagenet,
    "imagenet100": read_imagenet,
    "imagenet20": read_imagenet,
    "imagenet_t100": read_imagenet,
    "mnist": read_idx_images,
    "tiny_imagenet": read_tiny_imagenet,
}
"""By data set name."""


def find_images(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return what the disk has of a plan's data set; imports no torch.

    Raises:
        RunError: there is no such data set, or it is not there, not whole or not official.
    """
    reader = READERS.get(data.dataset)
    if reader is None:
        raise RunError(
            "unknown-name",
            f"no reader for the data set '{data.dataset}'; readable: {', '.join(sorted(READERS))}",
            "lay its images out as train/<class>/* and val/<class>/* and use `dataset: folder`",
        )
    return reader(data, root, official)
