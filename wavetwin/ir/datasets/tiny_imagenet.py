"""Tiny ImageNet: 200 of ImageNet's classes at 64 x 64, with ImageNet's mean and standard deviation."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS", "TinyImageNet"]


@frozen(kw_only=True)
class TinyImageNet(Dataset):
    """One folder: `wnids.txt`, `train/<class>/images`, `val/images` and `val/val_annotations.txt`."""

    reader: ClassVar[str] = "wavetwin.runtime.data.tiny_imagenet:read_tiny_imagenet"

    folder: str

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)


DATASETS = (
    TinyImageNet(
        name="tiny_imagenet",
        num_classes=200,
        channels=3,
        image_size=64,
        training_images=100000,
        test_images=10000,
        validation=50,
        per_class=True,
        augmentation="pad_crop_flip",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        how_to_get="Stanford's CS231n course has tiny-imagenet-200.zip: unpack it in the data root",
        folder="tiny-imagenet-200",
    ),
)
