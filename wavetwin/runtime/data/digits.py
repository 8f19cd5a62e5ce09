"""Read `digits`: the 1,797 images of 8x8 that come with scikit-learn."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import Found, FoundArrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

__all__ = ["read_digits"]

TRAINING_IMAGES = 1437
"""The first ones train, the last 360 test."""
MAXIMUM = 16


def read_digits(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the fixed split; `root` is not needed.

    Raises:
        RunError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise RunError(
            "package-missing",
            "the data set 'digits' comes with scikit-learn, which is not installed",
            "pip install 'wavetwin[data]'",
        ) from error
    with warnings.catch_warnings():
        # A deprecation between scikit-learn and NumPy says nothing about the images.
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels, classes = load_digits(return_X_y=True)
    images = np.asarray(pixels).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = np.asarray(classes).astype(np.int64)
    return Found(
        FoundArrays(images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES], MAXIMUM),
        FoundArrays(images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:], MAXIMUM),
    )
