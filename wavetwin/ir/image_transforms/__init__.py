"""List the transforms that `data.augmentation` takes: found by being in a module of this package.

A module has `TRANSFORMS`, a tuple of classes derived from `ImageTransform` (docs/adding.md).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from wavetwin.ir.image_transforms.transform import ImageTransform, TransformedImages
from wavetwin.ir.section import Kinds

__all__ = ["ImageTransform", "TransformedImages", "known_transforms"]


@cache
def known_transforms() -> Kinds[ImageTransform]:
    """Return the transforms by the keys of items; most specs have none, and do not wait for them."""
    found: list[type[ImageTransform]] = []
    for module in sorted(each.name for each in iter_modules(__path__)):
        found += getattr(import_module(f"{__name__}.{module}"), "TRANSFORMS", ())
    return Kinds[ImageTransform](*sorted(found, key=lambda kind: kind.transform))
