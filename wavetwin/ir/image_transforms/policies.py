"""Define the transforms that choose among others, and the erasing of parts."""

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

__all__ = ["TRANSFORMS"]

Interpolation = Literal["nearest", "bilinear"]


@frozen(kw_only=True)
class _Policy(ImageTransform):
    """A random choice of motions and colour changes."""

    interpolation: Interpolation = "nearest"
    """How values between samples are taken in motions."""
    fill: int | None = declare(None, ge=0, le=255)
    """Value of what lies outside of a moved image; default: black, into which edges are interpolated."""


@frozen(kw_only=True)
class RandAugment(_Policy):
    """Some operations of one strength; Cubuk et al. 2019, arXiv:1909.13719."""

    transform = "rand_augment"
    torchvision_class = "RandAugment"
    effect = "makes random operations of one strength"

    num_ops: int = declare(2, label="operations", ge=1, le=64)
    """Operations an image, one after the other."""
    magnitude: int = declare(9, ge=0, le=255)
    """Strength of them all, below `num_magnitude_bins`."""
    num_magnitude_bins: int = declare(31, label="magnitudes", ge=2, le=256)
    """Strengths that there are, from 0 on."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield a strength that there is not."""
        if self.magnitude >= self.num_magnitude_bins:
            yield FieldFault(
                "out-of-range",
                f"magnitude must be below num_magnitude_bins {self.num_magnitude_bins}, not "
                f"{self.magnitude}",
                ("magnitude", "num_magnitude_bins"),
                defaults={"num_magnitude_bins": self.num_magnitude_bins},
            )


@frozen(kw_only=True)
class TrivialAugmentWide(_Policy):
    """One operation of random strength; Mueller and Hutter 2021, arXiv:2103.10158."""

    transform = "trivial_augment_wide"
    torchvision_class = "TrivialAugmentWide"
    effect = "makes one random operation of random strength"

    num_magnitude_bins: int = declare(31, label="magnitudes", ge=2, le=256)
    """Strengths that there are."""


@frozen(kw_only=True)
class AutoAugment(_Policy):
    """One of the pairs of operations found for a data set; Cubuk et al. 2019, arXiv:1805.09501."""

    transform = "auto_augment"
    torchvision_class = "AutoAugment"
    effect = "makes one of the pairs of operations that were found for a data set"
    maker = "wavetwin.runtime.data.torchvision_transforms.make_auto_augment"

    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"
    """The data set that they were found for."""


@frozen(kw_only=True)
class AugMix(ImageTransform):
    """A mean of several chains of operations; Hendrycks et al. 2020, arXiv:1912.02781."""

    transform = "aug_mix"
    torchvision_class = "AugMix"
    effect = "mixes images with results of random operations"

    severity: int = declare(3, ge=1, le=10)
    """Strength of the operations."""
    mixture_width: int = declare(3, ge=1, le=64)
    """Chains that are mixed."""
    chain_depth: int = declare(-1, ge=-1, le=64)
    """Operations a chain; -1: from 1 to 3, drawn."""
    alpha: float = declare(1.0, gt=0.0, le=100.0)
    """Of the distributions of the shares."""
    all_ops: bool = declare(True, label="all operations")
    """Whether brightness, contrast, colour and sharpness are among the operations."""
    interpolation: Interpolation = "bilinear"
    """How values between samples are taken in motions."""
    fill: int | None = declare(None, ge=0, le=255)
    """Value of what lies outside of a moved image; default: black, into which edges are interpolated."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield chains of no operation."""
        if self.chain_depth == 0:
            yield FieldFault(
                "out-of-range",
                "chain_depth must be at least 1, or -1 for a random number, not 0",
                ("chain_depth",),
            )


@frozen(kw_only=True)
class RandomErasing(SometimesTransform):
    """A rectangle of one value; Zhong et al. 2020, arXiv:1708.04896."""

    transform = "random_erasing"
    torchvision_class = "RandomErasing"
    effect = "covers a rectangle by one value"
    follows_normalisation = True

    scale: tuple[float, float] = declare((0.02, 0.33), items={"gt": 0.0, "le": 1.0})
    """Smallest and largest share of the image's area."""
    ratio: tuple[float, float] = declare((0.3, 3.3), items={"gt": 0.0, "le": 100.0})
    """Smallest and largest ratio of the sides."""
    value: float = declare(0.0, ge=-100.0, le=100.0)
    """Of the rectangle after normalisation: 0 is the mean colour."""

    def arguments(self, images: TransformedImages) -> dict[str, Any]:
        """Return the value as it is before normalisation, which follows: 0 becomes 0 exactly."""
        pairs = zip(images.mean, images.std, strict=True)
        return self.values() | {"value": [mean + self.value * std for mean, std in pairs]}


TRANSFORMS = (RandAugment, TrivialAugmentWide, AutoAugment, AugMix, RandomErasing)
