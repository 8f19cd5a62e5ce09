"""Give what corruption and perturbation scores are divided by: AlexNet's errors and flip rates.

Figures stand in code, not in a data file, so that the package's digest covers what scores depend
on. Shares between 0 and 1.
"""

from __future__ import annotations

__all__ = [
    "ALEXNET_ERRORS",
    "ALEXNET_SOURCE",
    "CORRUPTIONS",
    "CORRUPTION_SETS",
    "PERTURBATION_SETS",
    "PUBLISHED_ERRORS",
    "PUBLISHED_FLIP_RATES",
    "PUBLISHED_SOURCE",
    "SEVERITIES",
]

SEVERITIES = ("1", "2", "3", "4", "5")

ALEXNET_SOURCE = "AlexNet of Hendrycks and Dietterich 2019"
ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
"""Top-1 errors on ImageNet-C, averaged over the five severities: what mCE in the literature is
relative to (Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations, ICLR 2019, arXiv:1903.12261)."""

CORRUPTIONS = tuple(ALEXNET_ERRORS)
"""The fifteen of ImageNet-C; its four further ones are scored, and no part of mCE."""

CORRUPTION_SETS = tuple(f"{name}/{severity}" for name in CORRUPTIONS for severity in SEVERITIES)

PUBLISHED_SOURCE = "AI of the published classifiers"
PUBLISHED_ERRORS = {
    "brightness": 0.565856,
    "contrast": 0.859428,
    "defocus_blur": 0.825036,
    "elastic_transform": 0.651540,
    "fog": 0.831152,
    "frost": 0.830204,
    "gaussian_noise": 0.895148,
    "glass_blur": 0.828504,
    "impulse_noise": 0.926760,
    "jpeg_compression": 0.598376,
    "motion_blur": 0.793140,
    "pixelate": 0.706952,
    "shot_noise": 0.901152,
    "snow": 0.867260,
    "zoom_blur": 0.800972,
}
"""The same of the published AlexNet `AI` (wcnn_classifiers.json, ImageNetC, one crop): the one that
the twins were compared with."""

PUBLISHED_FLIP_RATES = {
    "brightness": 0.049313,
    "motion_blur": 0.094991,
    "rotate": 0.129820,
    "scale": 0.233107,
    "snow": 0.118652,
    "tilt": 0.070023,
    "translate": 0.110528,
    "zoom_blur": 0.058759,
}
"""Flip rates of `AI` between consecutive frames of ImageNet-P (wcnn_classifiers.json, ImageNetP,
step 1). There are none of the two noises."""

PERTURBATION_SETS = tuple(sorted({*PUBLISHED_FLIP_RATES, "gaussian_noise", "shot_noise"}))
"""The ten of ImageNet-P."""
