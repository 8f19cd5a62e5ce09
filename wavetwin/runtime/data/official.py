"""Describe the official data sets, and say where files differ from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from wavetwin.runtime.process.errors import RunError

__all__ = [
    "CIFAR_BATCHES",
    "IMAGENET_ARCHIVES",
    "MNIST_RAW",
    "PACKED_IDX",
    "TEST_IMAGES",
    "Official",
]

MNIST_RAW = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of MNIST's files once unpacked; only the packed ones have published checksums."""

PACKED_IDX = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}
"""MD5 of the packed idx files, by data set and file name."""

CIFAR_BATCHES = {
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
}
"""MD5 of the batch files of the python version, by data set and file name."""

IMAGENET_ARCHIVES = {
    "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
    "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
}
"""Names and MD5 of ImageNet's archives."""

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
    """Whether checksums are compared, which reads every byte once more."""
    notes: list[str] = field(default_factory=list)

    def differs(self, text: str, remedy: str, subject: Path | str | None = None) -> None:
        """Raise, or note, one difference.

        Args:
            text: what differs, as of `RunError`.
            remedy: beside taking it as it is.
            subject: the file or folder that the sentence is about.

        Raises:
            RunError: other data are not allowed.
        """
        error = RunError(
            "data-set-not-official",
            text,
            f"{remedy}; --allow-other-data takes it as it is",
            subject=subject,
        )
        if not self.allow_other:
            raise error
        if error.headline not in self.notes:
            self.notes.append(error.headline)

    def check_sum(self, name: str, content: bytes, expected: str) -> None:
        """Compare a file's MD5 with the official one.

        Raises:
            RunError: it is another one, and other data are not allowed.
        """
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            self.differs(
                f"has the MD5 {found}, the official file has {expected}",
                "the file is damaged or not the official one: fetch it again",
                name,
            )
