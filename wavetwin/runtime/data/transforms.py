"""Turn stored images into what the network sees: resizing, crops and augmentation on tensors.

Bilinear resizing is antialiased everywhere. Random numbers come in as a `random.Random`, so that
an image's crop depends on nothing but its own seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pkgutil import resolve_name
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from wavetwin.ir.augmentations import AUGMENTATIONS, CROP_ATTEMPTS
from wavetwin.runtime.data.eight_bits import resize_in_8_bits

__all__ = ["augment", "fit", "five_crops", "resize"]

CROP_SCALE = (0.08, 1.0)
"""Share of the area that a random crop takes; with CROP_RATIO as torchvision's RandomResizedCrop
and the published models."""
CROP_RATIO = (3 / 4, 4 / 3)

_WHOLE = 8
"""A resized image of so many crops is made whole; of a longer one the crop alone is computed."""


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Return float images (..., channels, height, width) at another size."""
    if images.shape[-2:] == (height, width):
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    result = functional.interpolate(
        flat, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return result.reshape(*images.shape[:-2], height, width)


def fit(images: Tensor, size: int, how: str = "float") -> Tensor:
    """Return the one crop of evaluation: short side resized to `size`, then the middle.

    Resizing is in floating point, or with `how="pil"` rounded to 8 bits as Pillow does.
    """
    height, width = _short_side_at(images, size)
    return _resized_crop(images, height, width, *_middle(height, width, size), size, how)


def five_crops(images: Tensor, larger: int, size: int, how: str = "float") -> Tensor:
    """Return corners and middle of the images with the short side resized to `larger`.

    They are stacked before the channels: (..., 5, channels, size, size). `how` as of `fit`.
    """
    height, width = _short_side_at(images, larger)
    bottom, right = height - size, width - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), _middle(height, width, size)]
    if _is_made_whole(height, width, larger):
        images = (resize_in_8_bits if how == "pil" else resize)(images, height, width)
    crops = [_resized_crop(images, height, width, *corner, size, how) for corner in corners]
    return torch.stack(crops, dim=-4)


def _short_side_at(images: Tensor, size: int) -> tuple[int, int]:
    """Return height and width with the shorter one at `size`, the other one in proportion."""
    height, width = images.shape[-2:]
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def _middle(height: int, width: int, size: int) -> tuple[int, int]:
    return round((height - size) / 2), round((width - size) / 2)


def _is_made_whole(height: int, width: int, side: int) -> bool:
    return max(height, width) <= _WHOLE * side


def _resized_crop(
    images: Tensor, height: int, width: int, top: int, left: int, size: int, how: str
) -> Tensor:
    """Return a square crop of what `resize` gives; a very thin image takes no more memory than it."""
    if _is_made_whole(height, width, size) or images.shape[-2:] == (height, width):
        resized = (resize_in_8_bits if how == "pil" else resize)(images, height, width)
        return resized[..., top : top + size, left : left + size]
    if how == "pil":
        down, right = images.shape[-2] / height, images.shape[-1] / width
        box = (left * right, top * down, (left + size) * right, (top + size) * down)
        return resize_in_8_bits(images, size, size, box)
    axes = [(-1, width, left), (-2, height, top)]
    # The long one first: what lies between is then as small as can be.
    for dim, resized, start in axes if width > height else reversed(axes):
        images = _weighted(images, dim, resized, start, size)
    return images


def _weighted(images: Tensor, dim: int, resized: int, start: int, count: int) -> Tensor:
    """Return some samples of one axis as resizing gives them: the rule and its rounding are torch's.

    Each sample is a sum in a fixed order, so its bits do not depend on the number of threads.
    """
    length = images.shape[dim]
    scale = torch.tensor(length, dtype=torch.float32) / resized
    support = scale.clamp(min=1)
    centres = (torch.arange(start, start + count, dtype=torch.float32) + 0.5) * scale
    first = ((centres - support).double() + 0.5).long().clamp(min=0)
    end = ((centres + support).double() + 0.5).long().clamp(max=length)
    taps = first.unsqueeze(1) + torch.arange(int((end - first).max()))
    distance = ((taps - centres.unsqueeze(1)).double() + 0.5) / support
    weights = (1 - distance.abs()).clamp(min=0).float() * (taps < end.unsqueeze(1))
    weights = (weights / weights.sum(1, keepdim=True)).to(images)
    taps = taps.clamp(max=length - 1).to(images.device)
    shape = (count, 1) if dim == -2 else (count,)
    result = images.index_select(dim, taps[:, 0]) * weights[:, 0].reshape(shape)
    for index in range(1, taps.shape[1]):
        result += images.index_select(dim, taps[:, index]) * weights[:, index].reshape(shape)
    return result


def augment(image: Tensor, name: str, size: int, random: Random) -> Tensor:
    """Return one randomly changed training image; `name` as in the plan.

    Padded crops first fit the image to `size`, then cut `size` from it with a margin of an eighth
    of `size` in black (4 pixels at 32).
    """
    row = AUGMENTATIONS[name]
    if row.crop is None or not row.crop.resizes:
        image = fit(image, size)
    if row.crop is not None:
        image = named_transform(row.crop.image)(image, size, random)
    return _flip(image, random) if row.flips else image


@cache
def named_transform(name: str) -> Callable[..., Tensor]:
    """Return the function of a dotted name."""
    return resolve_name(name)


def random_resized_crop(image: Tensor, size: int, random: Random) -> Tensor:
    """Return a window of random area and ratio at (size, size)."""
    top, left, height, width = _random_window(image.shape[-2], image.shape[-1], random)
    return resize(image[..., top : top + height, left : left + width], size, size)


def _random_window(height: int, width: int, random: Random) -> tuple[int, int, int, int]:
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    for _ in range(CROP_ATTEMPTS):
        area = height * width * _uniform(random, *CROP_SCALE)
        ratio = math.exp(_uniform(random, low, high))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = _below(random, height - crop_height + 1)
            left = _below(random, width - crop_width + 1)
            return top, left, crop_height, crop_width
    # No attempt fits (a very long image): the largest centred window of an allowed ratio.
    if width / height < CROP_RATIO[0]:
        crop_width, crop_height = width, round(width / CROP_RATIO[0])
    elif width / height > CROP_RATIO[1]:
        crop_width, crop_height = round(height * CROP_RATIO[1]), height
    else:
        crop_width, crop_height = width, height
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def pad_crop(image: Tensor, size: int, random: Random) -> Tensor:
    """Return a window of (size, size) of an image of that size with a black margin of an eighth."""
    margin = max(1, size // 8)
    padded = functional.pad(image, (margin,) * 4)
    top, left = _below(random, 2 * margin + 1), _below(random, 2 * margin + 1)
    return padded[..., top : top + size, left : left + size]


def _flip(image: Tensor, random: Random) -> Tensor:
    return image.flip(-1) if random.random() < 0.5 else image


def _uniform(random: Random, low: float, high: float) -> float:
    return low + (high - low) * random.random()


def _below(random: Random, bound: int) -> int:
    return int(random.random() * bound)
