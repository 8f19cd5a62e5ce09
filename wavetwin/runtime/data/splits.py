"""Divide the images of a reader into splits."""

from __future__ import annotations

import torch

from wavetwin.runtime.data.held_out import SplitPositions
from wavetwin.runtime.data.sources import ImageSet, ImageSource, SourcePair

__all__ = ["make_splits", "whole"]


def whole(source: ImageSource) -> ImageSet:
    """Return all images of a source as a split."""
    return ImageSet(source, torch.arange(len(source.labels)))


def make_splits(
    sources: SourcePair, positions: SplitPositions
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return training, validation and test images."""
    train = ImageSet(sources.train, torch.from_numpy(positions.train))
    if positions.validation is not None:
        validation = ImageSet(sources.train, torch.from_numpy(positions.validation))
    else:
        assert sources.validation is not None
        validation = whole(sources.validation)
    return train, validation, whole(sources.test)
