"""Cut a study's images: grey windows with room around the image, to move it in.

A study sees an image of `size` pixels in the middle of a window; a shifted image is another crop of
the window, never a rolled one, so that what comes in at the edge is what was there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.data.decode import BadImageError, decode_image
from wavetwin.runtime.process.errors import RunError, with_remedy

__all__ = ["MARGIN", "SIZE", "Batch", "ImageSource", "crop", "find_images", "read_batches"]

SIZE = 224
"""Pixels of an image in both directions, as in the published study."""
MARGIN = 8
"""Pixels around it in its window."""
_SHORT_SIDE = 256
"""What a longer short side of other images is resized to; the window is cut from the middle."""
_KINDS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by the orientation that its EXIF data state."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A file, or a window of one."""

    name: str
    file: Path
    window: tuple[int, int, int] | None = None
    """Top, left and side in pixels; None: the middle of the image, resized."""

    def info(self) -> dict[str, Any]:
        """Return what a study records of the image.

        Raises:
            RunError: the file is gone.
        """
        try:
            with self.file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise RunError(
                "file-unreadable", f"cannot be read: {error.strerror or error}", subject=self.file
            ) from error
        position = None if self.window is None else list(self.window)
        return {"name": self.name, "file": self.file.name, "sha256": digest, "window": position}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows; the mean of the image in each one's middle is taken off."""

    names: tuple[str, ...]
    windows: Tensor
    """(images, size + 2 * margin, the same), grey levels of 0 to 255 less the mean."""


def find_images(paths: Sequence[Path]) -> list[ImageSource]:
    """Return the images of files and folders, a folder's in the order of their paths.

    Raises:
        RunError: a path is not there, or a folder holds no image.
    """
    sources: list[ImageSource] = []
    for path in paths:
        if path.is_file():
            sources.append(ImageSource(path.name, path))
            continue
        if not path.is_dir():
            raise RunError(
                "file-not-found",
                "is not there",
                "name image files, or folders of them",
                subject=path,
            )
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _KINDS)
        if not files:
            raise RunError(
                "no-images",
                "holds no image",
                f"images are recognised by their names: {', '.join(_KINDS)}",
                subject=path,
            )
        sources += [ImageSource(file.relative_to(path).as_posix(), file) for file in files]
    return sources


def read_batches(
    sources: Sequence[ImageSource], batch_size: int, device: torch.device, dtype: torch.dtype
) -> Iterator[Batch]:
    """Yield the windows of the images, in order.

    Raises:
        RunError: an image cannot be read, is too small, or is of one grey level.
    """
    for start in range(0, len(sources), batch_size):
        some = sources[start : start + batch_size]
        windows = torch.stack([_window(source) for source in some]).to(device, dtype)
        centre = windows[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
        means = centre.mean((1, 2), keepdim=True)
        for source, image in zip(some, centre, strict=True):
            if bool((image == image[0, 0]).all()):
                raise RunError(
                    "nothing-to-measure",
                    "is of one grey level: no filter has anything to answer to",
                    "leave it out of --images",
                    subject=source.file,
                )
        yield Batch(tuple(source.name for source in some), windows - means)


def crop(
    windows: Float[Tensor, "images side side"], shift: tuple[int, int] = (0, 0)
) -> Float[Tensor, "images size size"]:
    """Return the images of their windows moved by (down, right) pixels, MARGIN at most."""
    top, left = MARGIN - shift[0], MARGIN - shift[1]
    assert all(-MARGIN <= each <= MARGIN for each in shift), "shifts stay in the margin"
    return windows[:, top : top + SIZE, left : left + SIZE]


def _window(source: ImageSource) -> Tensor:
    """Return one window, (side, side), grey levels of 0 to 255."""
    image = _upright_grey(source.file)
    side = SIZE + 2 * MARGIN
    if source.window is None:
        image = _resized(image, source.file)
        top, left = (image.height - side) // 2, (image.width - side) // 2
    else:
        top, left, stated = source.window
        assert stated == side, "the list's windows are of the study's size"
    return torch.from_numpy(np.array(image.crop((left, top, left + side, top + side))))


def _upright_grey(file: Path) -> Image.Image:
    """Return an image in grey as its EXIF data want it looked at."""
    try:
        grey = Image.fromarray(decode_image(file, channels=1)[0])
    except BadImageError as error:
        raise with_remedy(error, "leave it out of --images") from error
    with Image.open(file) as stored:
        turn = _UPRIGHT.get(stored.getexif().get(_ORIENTATION, 1))
    return grey if turn is None else grey.transpose(turn)


def _resized(image: Image.Image, file: Path) -> Image.Image:
    """Return an image whose short side is 256 pixels or less, as the usual evaluation resizes it."""
    short, least = min(image.size), SIZE + 2 * MARGIN
    if short < least:
        raise RunError(
            "nothing-to-measure",
            f"is {image.width} x {image.height} pixels: both sides need {least} or more, as "
            "an enlarged image is smoother than it was",
            "leave it out of --images",
            subject=file,
        )
    if short <= _SHORT_SIDE:
        return image
    width, height = (round(length * _SHORT_SIDE / short) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)
