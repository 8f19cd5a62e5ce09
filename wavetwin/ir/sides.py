"""Say how large images are: one number for squares, else height and width."""

from __future__ import annotations

__all__ = ["ImageSize", "Sides", "height_and_width", "image_size", "size_text"]

Sides = tuple[int, int]
"""Along the height and along the width, in pixels: lengths or positions."""
ImageSize = int | Sides
"""Pixels along every side of a square, or height and width."""


def height_and_width(size: ImageSize) -> Sides:
    """Return the two sides of a size."""
    return (size, size) if isinstance(size, int) else size


def image_size(height: int, width: int) -> ImageSize:
    """Return the size of these sides in its one form: a number for squares."""
    return height if height == width else (height, width)


def size_text(size: ImageSize) -> str:
    """Return a size as readers see it: `224`, or `48 x 80`."""
    return str(size) if isinstance(size, int) else " x ".join(map(str, size))
