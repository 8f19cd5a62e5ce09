"""Compute intervals of means of few values by Student's t; imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

__all__ = ["NORMAL_QUANTILE", "mean_interval", "student_quantile"]

NORMAL_QUANTILE = 1.959964
"""97.5 % of the normal distribution lie below it."""
_STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""97.5 % quantiles of Student's t with 1 to 10 degrees of freedom."""


def student_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; beyond the table, its expansion in 1 / degrees."""
    if degrees <= len(_STUDENT):
        return _STUDENT[degrees - 1]
    z = NORMAL_QUANTILE
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of what the values are drawn from, at least two of them.

    It holds where they are about normally distributed, as scores of several seeds are taken to be.
    """
    mean = fmean(values)
    half = student_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half
