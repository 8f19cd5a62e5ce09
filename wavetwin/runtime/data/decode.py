"""From an image file to bytes: grey, colour, palette, CMYK and 16-bit files, as they are stored.

Orientation tags are ignored, as in the published training; transparency is dropped.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from wavetwin.runtime.errors import RunError

__all__ = ["BadImageError", "decode_image"]

_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files; SyntaxError is its word for a broken PNG."""


class BadImageError(RunError):
    """One file is not a readable image; the others may be."""


def decode_image(file: Path, channels: int) -> np.ndarray:
    """Return an image as uint8 (channels, height, width); `channels` is 1 (grey) or 3.

    Raises:
        BadImageError: the file is damaged or of an unknown kind.
        RunError: the disk does not give it.
    """
    try:
        with Image.open(file) as image:
            pixels = _pixels(image, "L" if channels == 1 else "RGB")
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Of the disk, not of the image: leaving it out would hide that a mount is gone.
            raise RunError(
                f"{file} cannot be read: {error.strerror}", "was it moved while the run was going?"
            ) from error
        reason = "of no known kind" if isinstance(error, UnidentifiedImageError) else str(error)
        if file.stat().st_size == 0:
            reason = "it is empty"
        raise BadImageError(
            f"{file} cannot be read as an image: {reason}",
            "fetch the file again, or leave damaged images out with --on-bad-image skip",
        ) from error
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pixels(image: Image.Image, mode: str) -> np.ndarray:
    if image.mode.startswith("I"):
        image = _upper_bytes(image)
    elif image.mode == "F":
        raise ValueError("its values are fractions of no known range")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert(mode), dtype=np.uint8)


def _upper_bytes(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey image with 8 bits, as Pillow does with colours; its own convert clips."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its values have more than 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8))
