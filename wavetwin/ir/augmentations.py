"""Define the augmentations, random changes of training images: one row each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AUGMENTATIONS", "CROP_ATTEMPTS", "Augmentation", "Crop"]

CROP_ATTEMPTS = 10
"""Windows of random area and ratio that are tried until one fits the image."""


@dataclass(frozen=True, slots=True)
class Crop:
    """How a random part of an image is taken."""

    image: str
    """Dotted name of what crops one image: (image, height and width, source of random
    numbers) to the crop."""
    batch: str
    """The same of a batch: (images, height and width, uniform numbers) to the crops."""
    num_uniform: int
    """Numbers between 0 and 1 that the crop of one image of a batch takes."""
    resizes: bool
    """Whether it takes images of any size; else those that were fitted to the size."""


_WINDOW = Crop(
    image="wavetwin.runtime.data.transforms.random_resized_crop",
    batch="wavetwin.runtime.data.batch_augment.random_resized_crops",
    num_uniform=4 * CROP_ATTEMPTS,
    resizes=True,
)
_MOVED = Crop(
    image="wavetwin.runtime.data.transforms.pad_crop",
    batch="wavetwin.runtime.data.batch_augment.pad_crops",
    num_uniform=2,
    resizes=False,
)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to a training image."""

    name: str
    effect: str
    """The same as text that goes on after its name."""
    crop: Crop | None
    """None: the image is fitted to the size, as in evaluation."""
    flips: bool
    """Whether half of the images are mirrored left to right."""

    @property
    def is_random(self) -> bool:
        """Whether it makes more images of those that there are."""
        return self.crop is not None or self.flips

    @property
    def num_uniform(self) -> int:
        """Numbers between 0 and 1 that an image of a batch takes."""
        return (0 if self.crop is None else self.crop.num_uniform) + self.flips


AUGMENTATIONS: dict[str, Augmentation] = {
    row.name: row
    for row in (
        Augmentation(
            "crop_flip",
            "resizes a window of 8 to 100 % of the area and mirrors half of the images",
            _WINDOW,
            flips=True,
        ),
        Augmentation(
            "pad_crop_flip",
            "moves images by up to an eighth, black behind them, and mirrors half of them",
            _MOVED,
            flips=True,
        ),
        Augmentation(
            "pad_crop",
            "moves images by up to an eighth, black behind them",
            _MOVED,
            flips=False,
        ),
        Augmentation("none", "leaves images as they are", None, flips=False),
    )
}
"""By the name in a spec."""
