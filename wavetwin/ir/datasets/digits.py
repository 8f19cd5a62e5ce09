"""scikit-learn's digits: 1,797 images of 8 x 8; the first 1,437 train, the last 360 test."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import Dataset, Package
from wavetwin.ir.datasets.mnist import NUMERALS
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS"]


@frozen(kw_only=True)
class Digits(Dataset):
    """Arrays in a package."""

    reader: ClassVar[str] = "wavetwin.runtime.data.digits:read_digits"


DATASETS = (
    Digits(
        name="digits",
        num_classes=10,
        channels=1,
        image_size=32,
        training_images=1437,
        test_images=360,
        validation=200,
        per_class=False,
        augmentation="pad_crop",
        mean=(0.3054,),
        std=(0.3755,),
        class_names=NUMERALS,
        package=Package("scikit-learn", "sklearn"),
        how_to_get="pip install 'wavetwin[data]': the images come with scikit-learn",
    ),
)
