"""ImageNet (ILSVRC2012), and subsets of its classes or images.

Mean and standard deviation are torchvision's, the checksums those that torchvision compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wavetwin.ir.dataset import Dataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS", "IMAGENET_MEAN", "IMAGENET_STD", "ImageNet"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_HOW_TO_GET = (
    "image-net.org, ILSVRC2012, asks for an account: ILSVRC2012_img_train.tar, "
    "ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz; then `wavetwin data prepare imagenet "
    "--from DIR` lays them out as imagenet/train/<class>/* and imagenet/val/<class>/*"
)
_SUBSET = (
    "; the classes are the first ones in sorted order, or those of a file {name}.txt in the data "
    "root, a class (wnid) a line"
)
_TEST_PER_CLASS = 50


@frozen(kw_only=True)
class ImageNet(Dataset):
    """Class folders in `train`, and class folders or flat images in `val`."""

    reader: ClassVar[str] = "wavetwin.runtime.data.imagenet:read_imagenet"
    folders: ClassVar[tuple[str, ...]] = ("imagenet", "ILSVRC2012", ".")
    """Where `train` is looked for, below the data root."""

    chooses_classes: bool = False
    """Whether it has some of the classes: those of a file `<name>.txt`, else the first ones."""

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the folders of training images."""
        return tuple(f"{folder}/train" for folder in self.folders)


def _row(
    name: str,
    num_classes: int,
    training_images: int | None,
    *,
    train_per_class: int | None = None,
    preparer: str | None = None,
    archives: Mapping[str, tuple[str, str]] | None = None,
) -> ImageNet:
    chooses = training_images is None
    return ImageNet(
        name=name,
        num_classes=num_classes,
        channels=3,
        image_size=224,
        training_images=training_images,
        train_per_class=train_per_class,
        test_images=_TEST_PER_CLASS * num_classes,
        validation=100,
        per_class=True,
        augmentation="crop_flip",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        how_to_get=_HOW_TO_GET + (_SUBSET.format(name=name) if chooses else ""),
        preparer=preparer,
        archives=archives or {},
        chooses_classes=chooses,
    )


DATASETS = (
    _row(
        "imagenet",
        1000,
        1281167,
        preparer="wavetwin.runtime.data.prepare:prepare_imagenet",
        archives={
            "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
            "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
            "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
        },
    ),
    _row("imagenet100", 100, None),
    _row("imagenet20", 20, None),
    _row("imagenet_t100", 1000, 100000, train_per_class=100),
)
