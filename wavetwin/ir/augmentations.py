"""Define the augmentations, random changes of training images: a row for each short name, or a list."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.ir.field_fault import FieldFault
from wavetwin.ir.frozen import frozen
from wavetwin.ir.image_transforms import ImageTransform

__all__ = [
    "AUGMENTATIONS",
    "CROP_ATTEMPTS",
    "Augmentation",
    "Crop",
    "ListedTransforms",
    "find_augmentation",
]

CROP_ATTEMPTS = 10
"""Windows of random area and ratio that are tried until one fits the image."""


@frozen
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


@frozen
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
    def parts(self) -> tuple[tuple[str, str], ...]:
        """What it consists of: a name and an effect each."""
        return ((self.name, self.effect),)

    @property
    def is_random(self) -> bool:
        """Whether it makes more images of those that there are."""
        return self.crop is not None or self.flips

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions decide its results, beside those that decide all."""
        return ()

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


@frozen
class ListedTransforms:
    """Transforms of training images, in order."""

    transforms: tuple[ImageTransform, ...]

    @property
    def name(self) -> str:
        """All of them as text."""
        return ", ".join(each.describe() for each in self.transforms)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """Each of them and its effect."""
        return tuple((each.describe(), each.effect) for each in self.transforms)

    @property
    def is_random(self) -> bool:
        """Whether one of them makes more images of those that there are."""
        return any(each.is_random and each.without_effect() is None for each in self.transforms)

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions decide its results, beside those that decide all."""
        return tuple(dict.fromkeys(name for each in self.transforms for name in each.packages))

    @property
    def fits_first(self) -> bool:
        """Whether images are fitted to the size, as in evaluation, before the first one sees them."""
        return not any(each.takes_any_size for each in self.transforms)

    def size_faults(self, size: tuple[int, int]) -> Iterator[tuple[int, FieldFault]]:
        """Yield the positions of transforms that do not lead to images of this size, with the reason.

        Args:
            size: height and width that are wanted.
        """
        least = size if self.fits_first else None
        last: int | None = None
        for position, each in enumerate(self.transforms):
            fault = each.size_fault(least, size)
            if fault is not None:
                yield position, fault
            least = each.least_after(least, size)
            if each.gives_size:
                last = None
            elif each.takes_any_size:
                last = position
        if last is not None:
            key = self.transforms[last].transform
            yield (
                last,
                FieldFault(
                    "transforms-miss-size",
                    f"images are of several sizes after {key}, and a batch is of "
                    f"{size[0]} x {size[1]} pixels",
                    (),
                    help="put random_crop behind it",
                ),
            )

    def order_faults(self) -> Iterator[tuple[int, FieldFault]]:
        """Yield the positions of transforms of bytes behind one of normalised values."""
        first: str | None = None
        for position, each in enumerate(self.transforms):
            if each.follows_normalisation:
                first = first or each.transform
            elif first is not None:
                yield (
                    position,
                    FieldFault(
                        "transform-out-of-order",
                        f"{each.transform} changes bytes, and {first} before it changes normalised "
                        "values",
                        (),
                        help=f"put {first} behind it",
                    ),
                )


def find_augmentation(value: str | tuple[ImageTransform, ...]) -> Augmentation | ListedTransforms:
    """Return the augmentation of a plan: of a short name, or of a list."""
    return AUGMENTATIONS[value] if isinstance(value, str) else ListedTransforms(value)
