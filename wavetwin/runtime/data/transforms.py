"""From stored images to what the network sees: resizing, crops and augmentation on tensors.

Bilinear resizing is antialiased everywhere. Random numbers come in as a `random.Random`, so that
an image's crop depends on nothing but its own seed.
"""

from __future__ import annotations

import math
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augment", "centre_crop", "fit", "five_crops", "resize"]

CROP_SCALE = (0.08, 1.0)
"""Share of the area that a random crop takes; with CROP_RATIO as torchvision's RandomResizedCrop
and the published models."""
CROP_RATIO = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Return float images (..., channels, height, width) at another size."""
    if images.shape[-2:] == (height, width):
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    result = functional.interpolate(
        flat, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return result.reshape(*images.shape[:-2], height, width)


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Return the middle; an odd margin is split as torchvision's center_crop does."""
    height, width = images.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return images[..., top : top + size, left : left + size]


def resize_short_side(images: Tensor, size: int) -> Tensor:
    """Return the images with the shorter side at `size`, the other one in proportion."""
    height, width = images.shape[-2:]
    if height <= width:
        return resize(images, size, int(size * width / height))
    return resize(images, int(size * height / width), size)


def fit(images: Tensor, size: int) -> Tensor:
    """Return the one crop of evaluation: short side resized to `size`, then the middle."""
    return centre_crop(resize_short_side(images, size), size)


def five_crops(images: Tensor, size: int) -> Tensor:
    """Return corners and middle, stacked before the channels: (..., 5, channels, size, size)."""
    height, width = images.shape[-2:]
    corners = [(0, 0), (0, width - size), (height - size, 0), (height - size, width - size)]
    crops = [images[..., top : top + size, left : left + size] for top, left in corners]
    crops.append(centre_crop(images, size))
    return torch.stack(crops, dim=-4)


def augment(image: Tensor, name: str, size: int, random: Random) -> Tensor:
    """Return one randomly changed training image; `name` as in the plan.

    Padded crops first fit the image to `size`, then cut `size` from it with a margin of an eighth
    of `size` in black (4 pixels at 32).
    """
    if name == "none":
        return fit(image, size)
    if name == "crop_flip":
        return _flip(_random_resized_crop(image, size, random), random)
    cropped = _pad_crop(fit(image, size), size, random)
    return _flip(cropped, random) if name == "pad_crop_flip" else cropped


def _random_resized_crop(image: Tensor, size: int, random: Random) -> Tensor:
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


def _pad_crop(image: Tensor, size: int, random: Random) -> Tensor:
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
