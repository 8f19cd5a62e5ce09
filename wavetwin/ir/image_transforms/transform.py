"""Define what a transform is that a spec lists in `data.augmentation`.

A kind is one class: its fields are the language's and the arguments of torchvision's class. Images are
bytes, (channels, height, width) from 0 to 255, until they are normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, ClassVar

from wavetwin.ir.field_fault import FieldFault
from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Kind, declare, declared_fields, field_text
from wavetwin.ir.sides import Sides

__all__ = ["ImageTransform", "SometimesTransform", "TransformedImages"]


@frozen
class TransformedImages:
    """The images that transforms change, as far as arguments depend on them."""

    size: Sides
    """Of the results."""
    channels: int
    mean: tuple[float, ...] = ()
    """Of the normalisation, per channel, of values in [0, 1]; empty where nobody knows it yet."""
    std: tuple[float, ...] = ()


@frozen(kw_only=True)
class ImageTransform(Kind):
    """A random change of training images, one of a list in order."""

    tag = "transform"
    transform: ClassVar[str]
    """The key of an item that it is: the name of torchvision's class in lower case with `_`."""
    effect: ClassVar[str]
    """What it does to an image, as text that goes on after its name."""
    torchvision_class: ClassVar[str] = ""
    """Name in `torchvision.transforms.v2`, whose arguments are the fields."""
    maker: ClassVar[str] = "wavetwin.runtime.data.torchvision_transforms.make"
    """Dotted name of what makes it: (this, `TransformedImages`) to a function of one image, which draws
    from torch's global generator alone; the runtime alone imports it."""
    packages: ClassVar[tuple[str, ...]] = ("torchvision",)
    """Whose versions decide the results."""
    is_random: ClassVar[bool] = True
    """Whether it makes more images of those that there are."""
    takes_any_size: ClassVar[bool] = False
    """Whether it is to see the images as they are stored; else a list fits them to the size first."""
    gives_size: ClassVar[bool] = False
    """Whether its results have the size that is wanted, whatever it takes."""
    needs_colour: ClassVar[bool] = False
    """Whether it does nothing to images of one channel."""
    follows_normalisation: ClassVar[bool] = False
    """Whether it changes normalised values; all others change bytes."""

    def arguments(self, images: TransformedImages) -> dict[str, Any]:
        """Return the arguments of torchvision's class."""
        del images
        return {name: value for name, value in self.values().items() if value is not None}

    def faults(self) -> Iterator[FieldFault]:
        """Yield the fields that do not go together."""
        yield from self._reversed_ranges()

    def colour_fields(self) -> tuple[str, ...]:
        """Return the fields that do nothing to images of one channel, and are given."""
        return ()

    def least_after(self, least: Sides | None, size: Sides) -> Sides | None:
        """Return the smallest height and width of results, of those of what it takes.

        None: only the stored images know.
        """
        del size
        return least

    def size_fault(self, least: Sides | None, size: Sides) -> FieldFault | None:
        """Return why it does not fit images that may be so small; `size` is wanted in the end."""
        del least, size
        return None

    def without_effect(self) -> str | None:
        """Return why it leaves every image as it is, where it does."""
        return None

    def describe(self) -> str:
        """Return it as text, with what is not its default: `random_crop (padding 4)`."""
        texts = [
            field_text(each, value)
            for each in declared_fields(type(self))
            if (value := getattr(self, each.name)) != each.default or each.default is MISSING
        ]
        return f"{self.transform} ({', '.join(texts)})" if texts else self.transform

    def _reversed_ranges(self) -> Iterator[FieldFault]:
        """Yield the pairs of numbers whose first is the larger one: each is a range."""
        for name, value in self.values().items():
            match value:
                case (int() | float() as low, int() | float() as high) if low > high:
                    yield FieldFault(
                        "range-reversed",
                        f"{name} goes from the smaller number to the larger, not from {low:g} to "
                        f"{high:g}",
                        (name,),
                        help=f"write {name}: [{high:g}, {low:g}]",
                    )
                case _:
                    pass


@frozen(kw_only=True)
class SometimesTransform(ImageTransform):
    """A transform that happens to some images."""

    p: float = declare(0.5, ge=0.0, le=1.0)
    """Probability that it happens to an image."""

    def without_effect(self) -> str | None:
        """It never happens."""
        return "with p 0 it never happens" if self.p == 0 else None
