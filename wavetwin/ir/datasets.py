"""Describe the data sets that the language knows by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetMetadata:
    """What a spec need not say."""

    num_classes: int | None
    """None where only the disk knows: the spec says it then."""
    channels: int
    image_size: int
    """Usual height and width of what the network sees."""
    training_images: int | None
    """Official training images, before any are held out; None where only the disk knows."""
    validation: int
    """Training images usually held out; per class where `per_class`."""
    per_class: bool
    augmentation: str
    """A name of `augmentations`."""
    mean: tuple[float, ...] | None
    """Per channel, of values in [0, 1]; None: measured when a run starts."""
    std: tuple[float, ...] | None


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _imagenet(num_classes: int, training_images: int | None) -> DatasetMetadata:
    return DatasetMetadata(
        num_classes, 3, 224, training_images, 100, True, "crop_flip", IMAGENET_MEAN, IMAGENET_STD
    )


DATASETS: dict[str, DatasetMetadata] = {
    "imagenet": _imagenet(1000, 1281167),
    "imagenet100": _imagenet(100, None),
    "imagenet20": _imagenet(20, None),
    "imagenet_t100": _imagenet(1000, 100000),
    "cifar10": DatasetMetadata(
        10,
        3,
        32,
        50000,
        5000,
        False,
        "crop_flip",
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
    ),
    "cifar100": DatasetMetadata(
        100,
        3,
        32,
        50000,
        5000,
        False,
        "crop_flip",
        (0.5071, 0.4866, 0.4409),
        (0.2673, 0.2564, 0.2762),
    ),
    "tiny_imagenet": DatasetMetadata(
        200, 3, 64, 100000, 50, True, "pad_crop_flip", IMAGENET_MEAN, IMAGENET_STD
    ),
    "mnist": DatasetMetadata(10, 1, 28, 60000, 5000, False, "pad_crop", (0.1307,), (0.3081,)),
    "fashion_mnist": DatasetMetadata(
        10, 1, 28, 60000, 5000, False, "pad_crop_flip", (0.2860,), (0.3530,)
    ),
    "digits": DatasetMetadata(10, 1, 32, 1437, 200, False, "pad_crop", (0.3054,), (0.3755,)),
    "folder": DatasetMetadata(None, 3, 224, None, 0, True, "crop_flip", None, None),
}
"""Sources: the data sets' own pages and torchvision's readers; the ImageNet statistics are
torchvision's. `digits` is scikit-learn's (1,797 images): the first 1,437 train, the last 360 test."""

VALIDATION_BESIDE = frozenset({"imagenet_t100"})
"""Sets whose training images come beside those of the validation: 100 of each class of ImageNet."""


def luminance_statistics(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float], tuple[float]]:
    """Return one mean and one standard deviation for images of one channel: the averages."""
    return (round(sum(mean) / len(mean), 4),), (round(sum(std) / len(std), 4),)
