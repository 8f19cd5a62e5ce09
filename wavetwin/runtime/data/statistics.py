"""Measure mean and standard deviation of the training images, where the plan has none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from wavetwin.runtime.data.sources import Batch
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json, write_json

__all__ = ["known_statistics", "measure_statistics"]

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def known_statistics(file: Path | None, channels: int) -> Statistics:
    """Return what was measured when the run was trained.

    Raises:
        RunError: there is no such file, or it is of images of other channels.
    """
    known = read_json(file) if file is not None and file.is_file() else None
    if known is None or len(known["mean"]) != channels:
        raise RunError(
            "no-images",
            "mean and standard deviation are measured on the training images, which are not there",
            "evaluate in the run's folder (evaluate.py), which keeps them; or bring the training "
            "images back; or train with `data: {normalise: imagenet}`",
        )
    return tuple(known["mean"]), tuple(known["std"])


def measure_statistics(
    batches: Iterable[Batch], channels: int, key: list[object], file: Path | None
) -> Statistics:
    """Return mean and standard deviation of each channel, of values in [0, 1].

    Args:
        batches: the images, as evaluation crops them; read only where the file does not know.
        channels: of an image.
        key: what the figures are of.
        file: where they are kept for the next start.

    Raises:
        RunError: there is not one image.
    """
    if file is not None and file.is_file():
        known = read_json(file)
        if known["of"] == key:
            return tuple(known["mean"]), tuple(known["std"])
    total = torch.zeros(channels, dtype=torch.float64)
    squares, pixels = torch.zeros_like(total), 0
    for batch in batches:
        values = batch.images.cpu().double().transpose(0, 1).flatten(1)
        total += values.sum(1)
        squares += values.square().sum(1)
        pixels += values.shape[1]
    if pixels == 0:
        raise RunError(
            "image-damaged", "none of the training images can be read", "fetch the data set again"
        )
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp_min(0).sqrt()
    means, stds = tuple(mean.tolist()), tuple(max(s, 1e-6) for s in std.tolist())
    if file is not None:
        write_json(file, {"of": key, "mean": means, "std": stds})
    return means, stds
