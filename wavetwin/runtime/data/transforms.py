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
from wavetwin.ir.sides import ImageSize, Sides, height_and_width
from wavetwin.runtime.data.eight_bits import resize_in_8_bits

__all__ = ["augment", "fit", "five_crops", "resize"]

CROP_SCALE = (0.08, 1.0)
"""Share of the area that a random crop takes; with CROP_RATIO as torchvision's RandomResizedCrop
and the published models."""
CROP_RATIO = (3 / 4, 4 / 3)
"""Width over height of a random crop, relative to that of the image size: it is stretched no more than
on squares."""

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


def fit(images: Tensor, size: ImageSize, how: str = "float") -> Tensor:
    """Return the one crop of evaluation: resized until `size` is covered, then the middle.

    Of a square the short side is resized to it. Resizing is in floating point, or with `how="pil"`
    rounded to 8 bits as Pillow does.
    """
    sides = height_and_width(size)
    whole = _covering(images, sides)
    return _resized_crop(images, whole, _middle(whole, sides), sides, how)


def five_crops(images: Tensor, larger: ImageSize, size: ImageSize, how: str = "float") -> Tensor:
    """Return corners and middle of the images, resized until `larger` is covered.

    They are stacked before the channels: (..., 5, channels, height, width). `how` as of `fit`.
    """
    sides, covered = height_and_width(size), height_and_width(larger)
    whole = _covering(images, covered)
    bottom, right = whole[0] - sides[0], whole[1] - sides[1]
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), _middle(whole, sides)]
    if _is_made_whole(whole, covered):
        images = (resize_in_8_bits if how == "pil" else resize)(images, *whole)
    crops = [_resized_crop(images, whole, corner, sides, how) for corner in corners]
    return torch.stack(crops, dim=-4)


def _covering(images: Tensor, sides: Sides) -> Sides:
    """Return height and width, in the images' proportion, of the least that covers these sides."""
    height, width = images.shape[-2:]
    if height * sides[1] <= width * sides[0]:
        return sides[0], int(sides[0] * width / height)
    return int(sides[1] * height / width), sides[1]


def _middle(whole: Sides, sides: Sides) -> Sides:
    """Return top and left of the middle."""
    return round((whole[0] - sides[0]) / 2), round((whole[1] - sides[1]) / 2)


def _is_made_whole(whole: Sides, sides: Sides) -> bool:
    return whole[0] <= _WHOLE * sides[0] and whole[1] <= _WHOLE * sides[1]


def _resized_crop(images: Tensor, whole: Sides, corner: Sides, sides: Sides, how: str) -> Tensor:
    """Return a crop of what `resize` gives; a very thin image takes no more memory than it.

    Args:
        images: (..., channels, rows, columns).
        whole: height and width of what is resized.
        corner: top and left of the crop in it.
        sides: height and width of the crop.
        how: as of `fit`.
    """
    (height, width), (top, left), (rows, columns) = whole, corner, sides
    if _is_made_whole(whole, sides) or images.shape[-2:] == whole:
        resized = (resize_in_8_bits if how == "pil" else resize)(images, height, width)
        return resized[..., top : top + rows, left : left + columns]
    if how == "pil":
        down, right = images.shape[-2] / height, images.shape[-1] / width
        box = (left * right, top * down, (left + columns) * right, (top + rows) * down)
        return resize_in_8_bits(images, rows, columns, box)
    axes = [(-1, width, left, columns), (-2, height, top, rows)]
    # The longer one first: what lies between is then as small as can be.
    for dim, resized, start, count in axes if width * rows > height * columns else reversed(axes):
        images = _weighted(images, dim, resized, start, count)
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


def augment(image: Tensor, name: str, size: ImageSize, random: Random) -> Tensor:
    """Return one randomly changed training image; `name` as in the plan.

    Padded crops first fit the image to `size`, then cut `size` from it with a margin of an eighth
    of each side in black (4 pixels at 32).
    """
    row, sides = AUGMENTATIONS[name], height_and_width(size)
    if row.crop is None or not row.crop.resizes:
        image = fit(image, sides)
    if row.crop is not None:
        image = named_transform(row.crop.image)(image, sides, random)
    return _flip(image, random) if row.flips else image


@cache
def named_transform(name: str) -> Callable[..., Tensor]:
    """Return the function of a dotted name."""
    return resolve_name(name)


def random_resized_crop(image: Tensor, sides: Sides, random: Random) -> Tensor:
    """Return a window of random area and ratio at this height and width."""
    rows, columns = image.shape[-2:]
    top, left, height, width = _random_window(rows, columns, sides[1] / sides[0], random)
    return resize(image[..., top : top + height, left : left + width], *sides)


def _random_window(
    height: int, width: int, aspect: float, random: Random
) -> tuple[int, int, int, int]:
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    for _ in range(CROP_ATTEMPTS):
        area = height * width * _uniform(random, *CROP_SCALE)
        ratio = aspect * math.exp(_uniform(random, low, high))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = _below(random, height - crop_height + 1)
            left = _below(random, width - crop_width + 1)
            return top, left, crop_height, crop_width
    return centred_window(height, width, aspect)


def centred_window(height: int, width: int, aspect: float) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the largest centred window of an allowed ratio.

    It is taken of very long images, which no random window fits.
    """
    least, most = aspect * CROP_RATIO[0], aspect * CROP_RATIO[1]
    crop_height, crop_width = height, width
    if width / height < least:
        crop_height = round(width / least)
    elif width / height > most:
        crop_width = round(height * most)
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def pad_crop(image: Tensor, sides: Sides, random: Random) -> Tensor:
    """Return a window of an image's size, of the image with a black margin of an eighth of each side."""
    height, width = sides
    down, right = margins(sides)
    padded = functional.pad(image, (right, right, down, down))
    top, left = _below(random, 2 * down + 1), _below(random, 2 * right + 1)
    return padded[..., top : top + height, left : left + width]


def margins(sides: Sides) -> Sides:
    """Return how far padded crops move, down and to the right."""
    return max(1, sides[0] // 8), max(1, sides[1] // 8)


def _flip(image: Tensor, random: Random) -> Tensor:
    return image.flip(-1) if random.random() < 0.5 else image


def _uniform(random: Random, low: float, high: float) -> float:
    return low + (high - low) * random.random()


def _below(random: Random, bound: int) -> int:
    return int(random.random() * bound)
