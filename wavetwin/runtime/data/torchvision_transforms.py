"""Make torchvision's transforms of what a spec lists; torchvision is imported by asking for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from wavetwin.ir.image_transforms import ImageTransform, TransformedImages
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.packages import require
from wavetwin.runtime.process.torchvision_compat import import_torchvision

__all__ = ["make", "make_auto_augment"]


def make(transform: ImageTransform, images: TransformedImages) -> Callable[[Tensor], Tensor]:
    """Return the transform of torchvision that a listed one names.

    Raises:
        RunError: torchvision is not installed, or cannot be imported.
    """
    return _make(transform, **transform.arguments(images))


def make_auto_augment(
    transform: ImageTransform, images: TransformedImages
) -> Callable[[Tensor], Tensor]:
    """Return the same of the one whose policy torchvision has an enumeration for."""
    _torchvision()
    from torchvision.transforms.v2 import AutoAugmentPolicy

    arguments = transform.arguments(images)
    return _make(transform, **arguments | {"policy": AutoAugmentPolicy(arguments["policy"])})


def _make(transform: ImageTransform, **arguments: Any) -> Callable[[Tensor], Tensor]:
    _torchvision()
    from torchvision.transforms import v2

    if "interpolation" in arguments:
        arguments["interpolation"] = v2.InterpolationMode(arguments["interpolation"])
    return getattr(v2, transform.torchvision_class)(**arguments)


def _torchvision() -> None:
    require("torchvision", "a transform of data.augmentation")
    try:
        import_torchvision()
    except ImportError as error:
        raise RunError(
            "package-missing",
            f"data.augmentation lists transforms of torchvision: {error}",
            "pip install torchvision, of the version that goes with torch",
        ) from error
