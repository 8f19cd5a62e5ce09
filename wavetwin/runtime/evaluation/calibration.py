"""Measure how far the probability of the top prediction is from how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Calibration", "calibrate"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Images by the probability of their top prediction, in bins of equal width."""

    images: tuple[int, ...]
    """Of each bin, from probability 0 up."""
    accuracy: tuple[float, ...]
    """Share of the bin's images whose top prediction is right; 0 in an empty bin."""
    confidence: tuple[float, ...]
    """Mean probability of their top predictions; 0 in an empty bin."""
    error: float
    """The expected calibration error (ECE)."""

    @property
    def bins(self) -> int:
        """How many there are, empty ones included."""
        return len(self.images)

    @property
    def mean_confidence(self) -> float:
        """Over all images."""
        total = sum(n * mean for n, mean in zip(self.images, self.confidence, strict=True))
        return total / sum(self.images)


def calibrate(confidence: Tensor, is_right: Tensor, bins: int) -> Calibration:
    """Return the bins and the expected calibration error: sum over bins of n / N |accuracy - confidence|.

    Bin b of B takes probabilities above (b - 1) / B up to b / B, its upper end included; the first one
    has 0, too. torchmetrics' bins include their lower ends, and a probability of exactly 1 has one of
    its own there: the two differ on what lies just on an edge.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.

    Args:
        confidence: probabilities of the top predictions, (images,), one image or more.
        is_right: bool, (images,).
        bins: B.
    """
    values = confidence.double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    indices = (torch.bucketize(values, edges) - 1).clamp(0, bins - 1)
    counts = torch.bincount(indices, minlength=bins)
    right = torch.bincount(indices, is_right.double(), minlength=bins)
    total = torch.bincount(indices, values, minlength=bins)
    filled = counts.clamp_min(1)
    return Calibration(
        tuple(counts.tolist()),
        tuple((right / filled).tolist()),
        tuple((total / filled).tolist()),
        float((right - total).abs().sum() / len(values)),
    )
