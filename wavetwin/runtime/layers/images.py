"""Check the batches of images that a network is given, before any layer speaks of its own input."""

from __future__ import annotations

import torch
from torch import Tensor

from wavetwin.ir.sides import ImageSize, height_and_width
from wavetwin.runtime.bank.eager import plain_shape

__all__ = ["check_images"]


def check_images(
    image: Tensor,
    shape: tuple[int, int, int],
    smallest: ImageSize = 1,
    largest: ImageSize | None = None,
) -> None:
    """Say what is wrong with a network's input, what is needed, and how to come by it.

    Compilers, exporters and symbolic traces see nothing of it: sizes may be free there.

    Args:
        image: what the network was called with.
        shape: (channels, height, width) of the images that it is made for.
        smallest: height and width, or one number for both, from which on every map of the network
            has a position.
        largest: the same, up to which a linear layer after `flatten` gets its number of inputs; None
            where there is no such layer.

    Raises:
        ValueError: no batch of images, other channels, or a size outside of the bounds.
        TypeError: the images hold integers.
    """
    if torch.compiler.is_compiling() or not isinstance(image, Tensor):
        return
    channels, height, width = shape
    received = plain_shape(image)
    least, most = height_and_width(smallest), height_and_width(largest or 1 << 62)
    if len(received) == 4 and received[1] == channels:
        too_small = any(given < side for given, side in zip(received[2:], least, strict=True))
        too_large = any(given > side for given, side in zip(received[2:], most, strict=True))
        if too_small or too_large:
            fault = "have a size that the network's layers cannot take"
            if too_small:
                fault = "are too small for the network's layers"
            remedy = (
                f"nn.functional.interpolate(images, ({height}, {width}), mode='bilinear', "
                "antialias=True) resizes them"
            )
        elif not image.is_floating_point():
            raise TypeError(
                f"images of shape {received} hold {image.dtype}: floating-point numbers are needed, "
                "normalised as in training"
            )
        else:
            return
    else:
        fault, remedy = _other_form(received, channels)
    needed = f"(batch, {channels}, height, width) is needed, {_sizes(shape, smallest, largest)}"
    raise ValueError(f"images of shape {received} {fault}: {needed}; {remedy}")


def _sizes(shape: tuple[int, int, int], smallest: ImageSize, largest: ImageSize | None) -> str:
    made_for = f"made for {shape[1]} x {shape[2]}"
    sides = zip(height_and_width(smallest), height_and_width(largest or 0), strict=True)
    height, width = (_bounds(*each) for each in sides)
    if height != width:
        return f"height {height} and width {width}, {made_for}"
    return f"height and width {height}" + ("" if smallest == largest else f", {made_for}")


def _bounds(least: int, most: int) -> str:
    """Return the bounds of one side as text; 0: there is no upper one."""
    if least == most:
        return str(least)
    return f"{least} to {most}" if most else f"{least} or more"


def _other_form(received: tuple[int, ...], channels: int) -> tuple[str, str]:
    """Return what is wrong with a shape by its dimensions or channels, and what mends it."""
    if len(received) == 4:
        fault = f"have {received[1]} channels"
        if received[3] == channels:
            return fault, "channels come first: images.permute(0, 3, 1, 2)"
        if received[1] == 1:
            return fault, f"grey images as colours: images.expand(-1, {channels}, -1, -1)"
        if received[1] == 4 and channels == 3:
            return fault, "without the fourth, transparency: images[:, :3]"
        if received[1] == 3 and channels == 1:
            return fault, "grey images are read with PIL's image.convert('L')"
        return fault, "take images as in training"
    if len(received) == 3 and received[0] == channels:
        return "are one image", "a batch of one: images.unsqueeze(0)"
    if len(received) == 3 and received[2] == channels:
        return "are one image", "a batch of one: images.permute(2, 0, 1).unsqueeze(0)"
    if len(received) == 3 and channels == 1:
        return "have no channels", "images.unsqueeze(1)"
    if len(received) == 2 and channels == 1:
        return "are one map", "a batch of one: images[None, None]"
    return f"have {len(received)} dimensions, not 4", "take images as in training"
