"""Small pieces of real photographs, for tests that read image files."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image


@functools.cache
def _photographs() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def piece(number: int, size: int = 40) -> Image.Image:
    """Return one of 100 pieces of size x size pixels, the same for the same number."""
    photograph = _photographs()[number % 2]
    row, column = divmod(number // 2 % 50, 10)
    top, left = row * 80, column * 60
    return Image.fromarray(photograph[top : top + size, left : left + size])
