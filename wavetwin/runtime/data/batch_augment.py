"""Augment whole batches in memory: no Python code runs once an image.

Every image of a source has a row of uniform numbers in every epoch, whatever batch, process or step
it comes in; the numbers are drawn on the CPU, so that all devices get the same ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from wavetwin.ir.augmentations import AUGMENTATIONS, CROP_ATTEMPTS
from wavetwin.ir.sides import ImageSize, Sides, height_and_width
from wavetwin.runtime.data.transforms import (
    CROP_RATIO,
    CROP_SCALE,
    centred_window,
    fit,
    margins,
    named_transform,
)
from wavetwin.runtime.process.random_streams import named_generator

__all__ = ["BatchAugment", "random_windows", "resample_windows"]


class BatchAugment:
    """The augmentation of one epoch of one source of images."""

    def __init__(self, name: str, size: ImageSize, seed: int, epoch: int, num_images: int) -> None:
        """Draw the numbers of all images.

        Args:
            name: as in the plan.
            size: of the results.
            seed: the plan's.
            epoch: counted from 0.
            num_images: of the source, whichever of them train.
        """
        self._row, self.sides = AUGMENTATIONS[name], height_and_width(size)
        generator = named_generator(seed, "augmentation", epoch)
        self._uniform = torch.rand(num_images, self._row.num_uniform, generator=generator)

    def __call__(self, images: Tensor, indices: Tensor, maximum: int) -> Tensor:
        """Return float images in [0, 1] of (batch, channels, height, width), of the size.

        Args:
            images: uint8 (batch, channels, height, width).
            indices: int64 (batch): positions in the source, on the CPU.
            maximum: the stored value that means 1.0.
        """
        # In float32 the product of a number just below 1 and a bound may round up to the bound.
        uniform = self._uniform[indices].double()
        if self._row.crop is not None and self._row.crop.resizes:
            return self._change(images.to(torch.float32) / maximum, uniform)
        if images.shape[-2:] == self.sides:
            # Moving bytes about is cheaper, and the result is the same to the last bit.
            return self._change(images, uniform).to(torch.float32) / maximum
        return self._change(fit(images.to(torch.float32) / maximum, self.sides), uniform)

    def _change(self, images: Tensor, uniform: Tensor) -> Tensor:
        crop = self._row.crop
        if crop is not None:
            numbers = uniform[:, : crop.num_uniform]
            images = named_transform(crop.batch)(images, self.sides, numbers)
        return _flip(images, uniform[:, -1]) if self._row.flips else images


def random_resized_crops(images: Tensor, sides: Sides, uniform: Tensor) -> Tensor:
    """Return a window of random area and ratio of each float image, at this height and width.

    Args:
        images: float32 (batch, channels, height, width).
        sides: height and width of the results.
        uniform: as of `random_windows`.
    """
    windows = random_windows(
        images.shape[-2], images.shape[-1], uniform, aspect=sides[1] / sides[0]
    )
    return resample_windows(images, windows, sides)


def random_windows(height: int, width: int, uniform: Tensor, aspect: float = 1.0) -> Tensor:
    """Return random windows as torchvision's RandomResizedCrop draws them.

    Of ten attempts the first that fits is taken; where none does (a very long image), the largest
    centred window of an allowed ratio.

    Args:
        height: of the images.
        width: of the images.
        uniform: float64 (batch, 40): ten attempts of area, ratio, top and left, in [0, 1).
        aspect: width over height of the results, which ratios are relative to.

    Returns:
        int64 (batch, 4): top, left, height, width.
    """
    area, ratio, top, left = uniform.reshape(len(uniform), CROP_ATTEMPTS, 4).unbind(-1)
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    area = height * width * (CROP_SCALE[0] + (CROP_SCALE[1] - CROP_SCALE[0]) * area)
    ratio = aspect * (low + (high - low) * ratio).exp()
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    tops, lefts = (top * (height - heights + 1)).floor(), (left * (width - widths + 1)).floor()
    attempts = torch.stack((tops, lefts, heights, widths), -1).long()
    # argmax gives the first of several equal ones.
    first = fits.to(torch.int8).argmax(1)
    chosen = attempts[torch.arange(len(uniform)), first]
    fallback = torch.tensor(centred_window(height, width, aspect))
    return torch.where(fits.any(1, keepdim=True), chosen, fallback)


def resample_windows(images: Tensor, windows: Tensor, size: ImageSize) -> Tensor:
    """Return each image's window at a size, by antialiased bilinear resizing.

    The same as torch's interpolate of every window by itself, up to rounding: both axes are a
    product with a small matrix of weights for each image.

    Args:
        images: float32 (batch, channels, height, width).
        windows: int64 (batch, 4): top, left, height, width.
        size: of the results.
    """
    batch, channels, height, width = images.shape
    new_height, new_width = height_and_width(size)
    if batch == 0:
        return images.new_zeros(0, channels, new_height, new_width)
    top, left, window_height, window_width = windows.to(images.device).unbind(1)
    rows = _weights(top, window_height, height, new_height)
    columns = _weights(left, window_width, width, new_width)
    flat = images.reshape(batch, channels * height, width)
    narrow = torch.bmm(flat, columns.transpose(1, 2)).reshape(batch, channels, height, new_width)
    tall = narrow.transpose(1, 2).reshape(batch, height, channels * new_width)
    whole = torch.bmm(rows, tall).reshape(batch, new_height, channels, new_width)
    return whole.transpose(1, 2)


def _weights(start: Tensor, length: Tensor, stored: int, size: int) -> Tensor:
    """Return (batch, size, stored): what each stored sample adds to each sample of the result.

    A triangle about the result's position, as wide as the step between results where that is more
    than a sample; only samples of the window count.
    """
    positions = torch.arange(stored, dtype=torch.float32, device=start.device)
    results = torch.arange(size, dtype=torch.float32, device=start.device) + 0.5
    scale = (length / size).to(torch.float32)[:, None, None]
    inside = (positions >= start[:, None]) & (positions < (start + length)[:, None])
    distance = (positions - start[:, None] + 0.5)[:, None] - scale * results[:, None]
    weights = (1 - distance.abs() / scale.clamp_min(1)).clamp_min(0) * inside[:, None]
    return weights / weights.sum(-1, keepdim=True)


def pad_crops(images: Tensor, sides: Sides, uniform: Tensor) -> Tensor:
    """Return windows of the images' size, from images with a black margin of an eighth of each side.

    Args:
        images: (batch, channels, height, width), of any type.
        sides: their height and width.
        uniform: float64 (batch, 2): where the windows begin, in [0, 1).
    """
    top, left = uniform.unbind(1)
    down, right = margins(sides)
    padded = functional.pad(images, (right, right, down, down))
    every = padded.unfold(2, sides[0], 1).unfold(3, sides[1], 1)
    tops, lefts = (top * (2 * down + 1)).long(), (left * (2 * right + 1)).long()
    batch = torch.arange(len(images), device=images.device)
    return every[batch, :, tops.to(images.device), lefts.to(images.device)]


def _flip(images: Tensor, uniform: Tensor) -> Tensor:
    """Return the images, those whose number is below a half mirrored left to right."""
    mirrored = (uniform < 0.5).to(images.device)[:, None, None, None]
    return torch.where(mirrored, images.flip(-1), images)
