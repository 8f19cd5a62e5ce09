"""Define the transforms that change values where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


@frozen(kw_only=True)
class ColorJitter(ImageTransform):
    """Brightness, contrast, saturation and hue, in random order."""

    transform = "color_jitter"
    torchvision_class = "ColorJitter"
    effect = "changes brightness, contrast, saturation and hue in random order"

    brightness: float = declare(0.0, ge=0.0, le=100.0)
    """Factors are drawn from 1 - brightness (0 at least) to 1 + brightness; so for the next two."""
    contrast: float = declare(0.0, ge=0.0, le=100.0)
    """As for brightness."""
    saturation: float = declare(0.0, ge=0.0, le=100.0)
    """As for brightness; of colour images."""
    hue: float = declare(0.0, ge=0.0, le=0.5)
    """Largest shift in either direction, of a turn of the colour circle; of colour images."""

    def colour_fields(self) -> tuple[str, ...]:
        """Return saturation and hue, where they change anything."""
        return tuple(name for name in ("saturation", "hue") if getattr(self, name))

    def without_effect(self) -> str | None:
        """All four stay."""
        return None if any(self.values().values()) else "it is asked for no change"


@frozen(kw_only=True)
class Grayscale(ImageTransform):
    """The luminance in all channels."""

    transform = "grayscale"
    torchvision_class = "Grayscale"
    effect = "puts the luminance into all channels"
    is_random = False
    needs_colour = True

    def arguments(self, images: TransformedImages) -> dict[str, Any]:
        """Return as many channels as there are."""
        return {"num_output_channels": images.channels}


@frozen(kw_only=True)
class RandomGrayscale(SometimesTransform):
    """The luminance in all channels, of some images."""

    transform = "random_grayscale"
    torchvision_class = "RandomGrayscale"
    effect = "puts the luminance of some images into all channels"
    needs_colour = True

    p: float = declare(0.1, ge=0.0, le=1.0)
    """Probability that it happens to an image."""


@frozen(kw_only=True)
class RandomInvert(SometimesTransform):
    """The negative."""

    transform = "random_invert"
    torchvision_class = "RandomInvert"
    effect = "makes negatives"


@frozen(kw_only=True)
class RandomPosterize(SometimesTransform):
    """Fewer bits a value."""

    transform = "random_posterize"
    torchvision_class = "RandomPosterize"
    effect = "keeps the upper bits of values"

    bits: int = declare(ge=0, le=8)
    """Bits that are kept of 8."""


@frozen(kw_only=True)
class RandomSolarize(SometimesTransform):
    """The negative of bright pixels."""

    transform = "random_solarize"
    torchvision_class = "RandomSolarize"
    effect = "inverts bright pixels"

    threshold: int = declare(ge=0, le=255)
    """Value from which on pixels are inverted."""


@frozen(kw_only=True)
class RandomAdjustSharpness(SometimesTransform):
    """Sharpening or blurring."""

    transform = "random_adjust_sharpness"
    torchvision_class = "RandomAdjustSharpness"
    effect = "sharpens or blurs images"

    sharpness_factor: float = declare(ge=0.0, le=100.0)
    """0: blurred, 1: as it is, 2: twice as sharp."""

    def without_effect(self) -> str | None:
        """It never happens, or changes nothing."""
        if self.sharpness_factor == 1:
            return "with sharpness_factor 1 it changes nothing"
        return SometimesTransform.without_effect(self)


@frozen(kw_only=True)
class RandomAutocontrast(SometimesTransform):
    """The darkest pixel black, the brightest white."""

    transform = "random_autocontrast"
    torchvision_class = "RandomAutocontrast"
    effect = "stretches values from black to white"


@frozen(kw_only=True)
class RandomEqualize(SometimesTransform):
    """A flat histogram."""

    transform = "random_equalize"
    torchvision_class = "RandomEqualize"
    effect = "flattens histograms"


@frozen(kw_only=True)
class RandomChannelPermutation(ImageTransform):
    """The channels in random order."""

    transform = "random_channel_permutation"
    torchvision_class = "RandomChannelPermutation"
    effect = "puts channels into random order"
    needs_colour = True


@frozen(kw_only=True)
class RandomPhotometricDistort(SometimesTransform):
    """Brightness, contrast, saturation, hue and the order of channels, each sometimes."""

    transform = "random_photometric_distort"
    torchvision_class = "RandomPhotometricDistort"
    effect = (
        "changes brightness, contrast, saturation, hue and the order of channels, each sometimes"
    )
    needs_colour = True

    brightness: tuple[float, float] = declare((0.875, 1.125), items={"ge": 0.0, "le": 100.0})
    """Smallest and largest factor."""
    contrast: tuple[float, float] = declare((0.5, 1.5), items={"ge": 0.0, "le": 100.0})
    """Smallest and largest factor."""
    saturation: tuple[float, float] = declare((0.5, 1.5), items={"ge": 0.0, "le": 100.0})
    """Smallest and largest factor."""
    hue: tuple[float, float] = declare((-0.05, 0.05), items={"ge": -0.5, "le": 0.5})
    """Smallest and largest shift, of a turn of the colour circle."""


@frozen(kw_only=True)
class GaussianBlur(ImageTransform):
    """Smoothing by a Gaussian kernel."""

    transform = "gaussian_blur"
    torchvision_class = "GaussianBlur"
    effect = "smooths images by a Gaussian of random width"

    kernel_size: int = declare(ge=1, le=255)
    """Taps in each direction, an odd number."""
    sigma: tuple[float, float] = declare((0.1, 2.0), items={"gt": 0.0, "le": 1000.0})
    """Smallest and largest standard deviation, in pixels."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield a kernel without a middle."""
        yield from self._reversed_ranges()
        if self.kernel_size % 2 == 0:
            yield FieldFault(
                "kernel-size-even",
                f"a blur of {self.kernel_size} taps has no middle",
                ("kernel_size",),
                help=f"write kernel_size: {self.kernel_size + 1}",
            )

    def size_fault(self, least: Sides | None, size: Sides) -> FieldFault | None:
        """Return that the kernel mirrors more of the image than there is."""
        if least is None or self.kernel_size // 2 < min(least):
            return None
        return FieldFault(
            "transforms-miss-size",
            f"a blur of {self.kernel_size} taps reaches {self.kernel_size // 2} pixels, and images "
            f"have {min(least)}",
            ("kernel_size",),
            help="lower kernel_size",
        )

    def without_effect(self) -> str | None:
        """A single tap."""
        return "with kernel_size 1 nothing is smoothed" if self.kernel_size == 1 else None


@frozen(kw_only=True)
class GaussianNoise(ImageTransform):
    """Independent noise in each value."""

    transform = "gaussian_noise"
    torchvision_class = "GaussianNoise"
    effect = "adds noise to each value"

    mean: float = declare(0.0, ge=-1.0, le=1.0)
    """Of the noise, where white is 1."""
    sigma: float = declare(0.1, ge=0.0, le=1.0)
    """Standard deviation of the noise, where white is 1."""

    def without_effect(self) -> str | None:
        """The noise is 0."""
        return None if self.mean or self.sigma else "the noise is 0 everywhere"


TRANSFORMS = (
    ColorJitter,
    Grayscale,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomChannelPermutation,
    RandomPhotometricDistort,
    GaussianBlur,
    GaussianNoise,
)
