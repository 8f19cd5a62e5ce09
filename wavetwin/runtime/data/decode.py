"""Decode an image file to bytes: grey, colour, palette, CMYK and 16-bit files, as they are stored.

Orientation tags are ignored, as in the published training; transparency is dropped.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import recognise_file

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
"""What Pillow raises for damaged files; SyntaxError stands for a broken PNG."""


_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
"""TIFF's numbers of these tags."""


class BadImageError(RunError):
    """One file is not a readable image; the others may be."""


class _UnknownRangeError(ValueError):
    """Nothing says which value of the image is white."""


def decode_image(file: Path, channels: int, content: bytes | None = None) -> np.ndarray:
    """Return an image as uint8 (channels, height, width); `channels` is 1 (grey) or 3.

    Args:
        file: the image.
        channels: of the result.
        content: its bytes, where they lie in another file; None: they are read.

    Raises:
        BadImageError: the file is damaged or of an unknown kind.
        RunError: the disk does not give it.
    """
    try:
        with Image.open(file if content is None else io.BytesIO(content)) as image:
            pixels = _pixels(image, "L" if channels == 1 else "RGB")
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Of the disk, not of the image: leaving it out would hide that a mount is gone.
            raise RunError(
                "file-unreadable",
                f"cannot be read: {error.strerror}",
                "was it moved while the run was going?",
                subject=file,
            ) from error
        reason = "of no known kind" if isinstance(error, UnidentifiedImageError) else str(error)
        is_range = isinstance(error, _UnknownRangeError)
        remedy = "store it with 8 or 16 bits" if is_range else "fetch the file again"
        is_unknown = isinstance(error, UnidentifiedImageError) and content is None
        found = recognise_file(file) if is_unknown else None
        if found is not None:
            reason, remedy = f"it is {found.description}", found.remedy or remedy
        raise BadImageError(
            "image-damaged",
            f"cannot be read as an image: {reason}",
            f"{remedy}; or leave damaged images out with --on-bad-image skip",
            subject=file,
        ) from error
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pixels(image: Image.Image, mode: str) -> np.ndarray:
    if image.mode.startswith("I"):
        image = _upper_bytes(image)
    elif image.mode == "F":
        raise _UnknownRangeError("its values are fractions of no known range")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert(mode), dtype=np.uint8)


def _upper_bytes(image: Image.Image) -> Image.Image:
    """Return a grey image of 9 to 16 bits with 8, as Pillow does with colours; its convert clips."""
    bits = _bits(image)
    values = np.asarray(image).astype(np.int64)
    if bits > 16 or values.min() < 0 or values.max() >= 1 << bits:
        raise _UnknownRangeError(
            f"its values are whole numbers from {values.min()} to {values.max()} of {bits} bits, of "
            "no known range"
        )
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8))


def _bits(image: Image.Image) -> int:
    """Return how many bits a value has; where the file does not say, the mode does."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Signed values have no known white either.
        is_signed = image.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] == 2
        return 32 if is_signed else int(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))[0])
    # Pillow gives the 16 bits of PNG and PGM as 32.
    is_wide = image.mode == "I" and image.format not in ("PNG", "PPM")
    return 32 if is_wide else 16
