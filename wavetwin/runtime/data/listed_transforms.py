"""Change training images by the transforms that a spec lists, one image after the other."""

from __future__ import annotations

from pkgutil import resolve_name

import torch
from torch import Tensor

from wavetwin.ir.augmentations import ListedTransforms
from wavetwin.ir.image_transforms import TransformedImages
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.process.random_streams import image_draws

__all__ = ["ImageChange"]

_WHITE = 255


class ImageChange:
    """The listed transforms in one epoch: of a stored image to one that is still to be normalised.

    What is drawn depends on the seed, the epoch and the image's position alone. On the CPU, with one
    thread, so that bits do not depend on who reads the images.

    Args:
        listed: the transforms.
        images: the size that is wanted, and the normalisation that follows.
        seed: the plan's.
        epoch: counted from 0.

    Raises:
        RunError: a package that a transform needs is not installed.
    """

    def __init__(
        self, listed: ListedTransforms, images: TransformedImages, seed: int, epoch: int
    ) -> None:
        self._size, self._seed, self._epoch = images.size, seed, epoch
        self._fits_first = listed.fits_first
        made = [
            (each.follows_normalisation, resolve_name(each.maker)(each, images))
            for each in listed.transforms
        ]
        self._of_bytes = [function for follows, function in made if not follows]
        self._of_values = [function for follows, function in made if follows]

    def __call__(self, image: Tensor, maximum: int, index: int) -> Tensor:
        """Return the changed image, float32 of values in [0, 1].

        Args:
            image: uint8 (channels, height, width), as it is stored.
            maximum: the stored value that means 1.0.
            index: position in the source.
        """
        image = self._as_bytes(image, maximum)
        with image_draws(self._seed, self._epoch, index):
            for function in self._of_bytes:
                image = function(image)
            values = image.to(torch.float32) / _WHITE
            for function in self._of_values:
                values = function(values)
        return values

    def _as_bytes(self, image: Tensor, maximum: int) -> Tensor:
        """Return an image as bytes whose largest is white, fitted to the size where that comes first."""
        fits = not self._fits_first or image.shape[-2:] == self._size
        if fits and maximum == _WHITE:
            return image
        values = image.to(torch.float32) / maximum
        if not fits:
            values = fit(values, self._size)
        return values.mul(_WHITE).round().clamp(0, _WHITE).to(torch.uint8)
