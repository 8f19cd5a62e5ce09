"""What the official data sets are, and what happens where the files differ from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from wavetwin.runtime.errors import RunError

__all__ = ["MNIST_RAW", "TEST_IMAGES", "Official", "cifar_checksums", "packed_checksums"]

MNIST_RAW = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of MNIST's files once unpacked; torchvision knows the packed ones only."""

TEST_IMAGES = {
    "cifar10": 10000,
    "cifar100": 10000,
    "digits": 360,
    "fashion_mnist": 10000,
    "imagenet": 50000,
    "imagenet100": 5000,
    "imagenet20": 1000,
    "imagenet_t100": 50000,
    "mnist": 10000,
    "tiny_imagenet": 10000,
}
"""Images of the official test set, by data set; ImageNet's has 50 of each class."""


@dataclass
class Official:
    """Compares what is read with the official data set.

    A difference is an error; where other data are allowed, it is noted.
    """

    allow_other: bool = False
    checks_sums: bool = True
    """Whether checksums are compared: their figures are torchvision's, whose import takes seconds."""
    notes: list[str] = field(default_factory=list)

    def differs(self, headline: str, remedy: str) -> None:
        """Raise, or note, one difference.

        Raises:
            RunError: other data are not allowed.
        """
        if not self.allow_other:
            raise RunError(headline, f"{remedy}; --allow-other-data takes it as it is")
        if headline not in self.notes:
            self.notes.append(headline)

    def check_sum(self, name: str, content: bytes, expected: str) -> None:
        """Compare a file's MD5 with the official one.

        Raises:
            RunError: it is another one, and other data are not allowed.
        """
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            self.differs(
                f"{name} has the MD5 {found}, the official file has {expected}",
                "the file is damaged or not the official one: fetch it again",
            )


def packed_checksums(dataset: str) -> dict[str, str]:
    """Return the MD5 of the packed idx files of `mnist` or `fashion_mnist`, by file name."""
    datasets = _torchvision_datasets()
    known = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}[dataset]
    return dict(known.resources)


def cifar_checksums(dataset: str) -> dict[str, str]:
    """Return the MD5 of the batch files of `cifar10` or `cifar100`, by file name."""
    datasets = _torchvision_datasets()
    known = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[dataset]
    return dict([*known.train_list, *known.test_list])


def _torchvision_datasets() -> Any:
    from wavetwin.runtime.torchvision_compat import import_torchvision

    return import_torchvision().datasets
