"""Define the transforms that move pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from wavetwin.ir.field_fault import FieldFault
from wavetwin.ir.frozen import frozen
from wavetwin.ir.image_transforms.transform import (
    ImageTransform,
    SometimesTransform,
    TransformedImages,
)
from wavetwin.ir.section import declare
from wavetwin.ir.sides import Sides

__all__ = ["TRANSFORMS"]

Interpolation = Literal["nearest", "bilinear"]
Resampling = Literal["nearest", "bilinear", "bicubic"]


@frozen(kw_only=True)
class RandomResizedCrop(ImageTransform):
    """A window of random area and ratio, resized."""

    transform = "random_resized_crop"
    torchvision_class = "RandomResizedCrop"
    effect = "takes a window of random area and ratio and resizes it"
    takes_any_size = True
    gives_size = True

    scale: tuple[float, float] = declare((0.08, 1.0), items={"gt": 0.0, "le": 1.0})
    """Smallest and largest share of the image's area."""
    ratio: tuple[float, float] = declare((3 / 4, 4 / 3), items={"gt": 0.0, "le": 100.0})
    """Smallest and largest ratio of width to height."""
    interpolation: Resampling = "bilinear"
    """How values between samples are taken; antialiased."""

    def arguments(self, images: TransformedImages) -> dict[str, Any]:
        """Return the size beside the fields."""
        return {"size": images.size, **self.values()}

    def least_after(self, least: Sides | None, size: Sides) -> Sides | None:
        """Return the size."""
        return size


@frozen(kw_only=True)
class RandomCrop(ImageTransform):
    """A window of the size at a random position."""

    transform = "random_crop"
    torchvision_class = "RandomCrop"
    effect = "takes a window at a random position"
    gives_size = True

    padding: int = declare(0, ge=0, le=4096)
    """Pixels that are added at each edge before."""
    fill: int = declare(0, ge=0, le=255)
    """Value of the pixels that `constant` adds."""
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = "constant"
    """What is added: `fill`, the edge's pixels, or the image mirrored without or with its edge."""

    def arguments(self, images: TransformedImages) -> dict[str, Any]:
        """Return the size beside the fields."""
        return {"size": images.size, **self.values(), "padding": self.padding or None}

    def least_after(self, least: Sides | None, size: Sides) -> Sides | None:
        """Return the size."""
        return size

    def size_fault(self, least: Sides | None, size: Sides) -> FieldFault | None:
        """Return that images may be smaller than the window."""
        if least is None:
            return FieldFault(
                "transforms-miss-size",
                "random_crop takes a window of images as they are stored, which may be smaller",
                (),
                help="put resize before it",
            )
        short = min(least)
        if self.padding_mode == "reflect" and self.padding >= short:
            return FieldFault(
                "transforms-miss-size",
                f"images of {short} pixels cannot be mirrored {self.padding} pixels far",
                ("padding", "padding_mode"),
                help=f"set padding below {short}",
            )
        if any(has + 2 * self.padding < wants for has, wants in zip(least, size, strict=True)):
            return FieldFault(
                "transforms-miss-size",
                f"random_crop takes {size[0]} x {size[1]} pixels of images that may have "
                f"{least[0]} x {least[1]}",
                (),
                help=f"resize to {max(size)} or more",
            )
        return None


@frozen(kw_only=True)
class Resize(ImageTransform):
    """Resizing of the stored image."""

    transform = "resize"
    torchvision_class = "Resize"
    effect = "resizes the stored image"
    is_random = False
    takes_any_size = True

    size: int = declare(ge=4, le=8192)
    """Of the shorter side, in pixels; the longer one in proportion."""
    interpolation: Resampling = "bilinear"
    """How values between samples are taken; antialiased."""

    def least_after(self, least: Sides | None, size: Sides) -> Sides | None:
        """Return the size of the shorter side."""
        return (self.size, self.size)


@frozen(kw_only=True)
class RandomHorizontalFlip(SometimesTransform):
    """Mirroring left to right."""

    transform = "random_horizontal_flip"
    torchvision_class = "RandomHorizontalFlip"
    effect = "mirrors images left to right"


@frozen(kw_only=True)
class RandomVerticalFlip(SometimesTransform):
    """Mirroring top to bottom."""

    transform = "random_vertical_flip"
    torchvision_class = "RandomVerticalFlip"
    effect = "mirrors images top to bottom"


@frozen(kw_only=True)
class _Warp(ImageTransform):
    """A transform whose pixels come from between others, or from outside."""

    interpolation: Interpolation = "nearest"
    """How values between samples are taken."""
    fill: int = declare(0, ge=0, le=255)
    """Value of what lies outside of the image."""


@frozen(kw_only=True)
class RandomRotation(_Warp):
    """Rotation about the middle."""

    transform = "random_rotation"
    torchvision_class = "RandomRotation"
    effect = "rotates images about their middle"

    degrees: float = declare(ge=0.0, le=180.0)
    """Largest angle in either direction."""

    def without_effect(self) -> str | None:
        """Every angle is 0."""
        return "with degrees 0 nothing is rotated" if self.degrees == 0 else None


@frozen(kw_only=True)
class RandomAffine(_Warp):
    """Rotation, shift, scaling and shear."""

    transform = "random_affine"
    torchvision_class = "RandomAffine"
    effect = "rotates, moves, scales and shears images"

    degrees: float = declare(ge=0.0, le=180.0)
    """Largest angle in either direction."""
    translate: tuple[float, float] | None = declare(None, items={"ge": 0.0, "le": 1.0})
    """Largest shifts, as shares of width and height; default: none."""
    scale: tuple[float, float] | None = declare(None, items={"gt": 0.0, "le": 100.0})
    """Smallest and largest factor; default: none."""
    shear: float | None = declare(None, ge=0.0, lt=90.0)
    """Largest angle of a shear along the width, in either direction; default: none."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield ranges that are reversed; the two shifts are none."""
        yield from (each for each in ImageTransform.faults(self) if "translate" not in each.fields)

    def without_effect(self) -> str | None:
        """No motion is asked for."""
        moves = self.degrees, self.translate, self.scale, self.shear
        return "it is asked for no motion" if not any(moves) else None


@frozen(kw_only=True)
class RandomPerspective(SometimesTransform):
    """Change of the point of view."""

    transform = "random_perspective"
    torchvision_class = "RandomPerspective"
    effect = "moves the corners of images towards their middle"

    distortion_scale: float = declare(0.5, ge=0.0, le=1.0)
    """How far corners move at most, as a share of half the sides."""
    interpolation: Interpolation = "bilinear"
    """How values between samples are taken."""
    fill: int = declare(0, ge=0, le=255)
    """Value of what lies outside of the image."""


@frozen(kw_only=True)
class ElasticTransform(ImageTransform):
    """Smooth random displacements."""

    transform = "elastic_transform"
    torchvision_class = "ElasticTransform"
    effect = "displaces pixels by smooth random fields"

    alpha: float = declare(50.0, gt=0.0, le=10000.0)
    """Size of the displacements, in pixels before smoothing."""
    sigma: float = declare(5.0, gt=0.0, le=100.0)
    """Standard deviation of the smoothing, in pixels."""
    interpolation: Interpolation = "bilinear"
    """How values between samples are taken."""
    fill: int = declare(0, ge=0, le=255)
    """Value of what lies outside of the image."""

    def size_fault(self, least: Sides | None, size: Sides) -> FieldFault | None:
        """Return that the smoothing, which reaches 4 sigma, mirrors more than there is."""
        reach = int(8 * self.sigma + 1) // 2
        if least is None or reach < min(least):
            return None
        return FieldFault(
            "transforms-miss-size",
            f"smoothing with sigma {self.sigma:g} reaches {reach} pixels, and images have "
            f"{min(least)}",
            ("sigma",),
            help="lower sigma",
        )


TRANSFORMS = (
    RandomResizedCrop,
    RandomCrop,
    Resize,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    RandomRotation,
    RandomAffine,
    RandomPerspective,
    ElasticTransform,
)
