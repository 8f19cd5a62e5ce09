"""Make transforms of images of a user's project."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from wavetwin.ir.image_transforms import TransformedImages
from wavetwin.ir.image_transforms.module import ModuleTransform
from wavetwin.runtime.process.own_code import load_named
from wavetwin.runtime.process.random_streams import seeded

__all__ = ["make"]


def make(transform: ModuleTransform, images: TransformedImages) -> Callable[[Tensor], Tensor]:
    """Return a function of one image, uint8 (channels, height, width), to one of the same form.

    A class is constructed with the generators seeded, so that every process has the same object.
    """
    del images
    made = load_named(transform.file, transform.name)
    if not isinstance(made, type):
        return partial(made, **transform.keywords)
    with seeded(0), torch.device("cpu"):
        return made(**transform.keywords)
