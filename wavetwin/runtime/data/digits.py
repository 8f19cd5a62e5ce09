"""Reader of `digits`: the 1,797 images of 8x8 that come with scikit-learn."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from wavetwin.compiler.plan import DataPlan
from wavetwin.runtime.data.sources import SourcePair, TensorImages
from wavetwin.runtime.errors import RunError

TRAINING_IMAGES = 1437
"""The first ones train, the last 360 test."""
MAXIMUM = 16


def read_digits(data: DataPlan, root: Path | None) -> SourcePair:
    """Return the fixed split; `root` is not needed.

    Raises:
        RunError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise RunError(
            "the data set 'digits' comes with scikit-learn, which is not installed",
            "pip install 'wavetwin[data]'",
        ) from error
    with warnings.catch_warnings():
        # A deprecation between scikit-learn and NumPy says nothing about the images.
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels, classes = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels).to(torch.uint8).reshape(-1, 1, 8, 8)
    labels = torch.as_tensor(classes).to(torch.int64)
    return SourcePair(
        TensorImages(images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES], MAXIMUM),
        TensorImages(images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:], MAXIMUM),
    )
