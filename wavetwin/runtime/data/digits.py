"""Read the digits of scikit-learn: 1,797 images of 8x8."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.packages import require

__all__ = ["read_digits"]

MAXIMUM = 16


def read_digits(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the fixed split; `root` is not needed.

    Raises:
        RunError: scikit-learn is not installed.
    """
    require("sklearn", f"the data set '{data.dataset}'")
    from sklearn.datasets import load_digits

    with warnings.catch_warnings():
        # A deprecation between scikit-learn and NumPy says nothing about the images.
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels, classes = load_digits(return_X_y=True)
    first = DATASETS[data.dataset].training_images
    images = np.asarray(pixels).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = np.asarray(classes).astype(np.int64)
    return Found(
        FoundArrays(images[:first], labels[:first], MAXIMUM),
        FoundArrays(images[first:], labels[first:], MAXIMUM),
    )
