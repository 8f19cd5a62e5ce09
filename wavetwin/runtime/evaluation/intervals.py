"""Compute confidence intervals: the bootstrap over images, and over seeds and images.

Everything is seeded: the same values give the same interval. An interval over images covers what
another draw of images of the same kind would change; it does not cover training again. An interval
over seeds and images covers both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.runtime.evaluation.student import NORMAL_QUANTILE, student_quantile

__all__ = [
    "RESAMPLES",
    "PairedDifference",
    "combined_intervals",
    "mean_intervals",
    "paired_interval",
    "percentiles",
    "proportion_interval",
    "resampled_means",
    "unseen_share",
]

RESAMPLES = 2000
_TAIL = 0.025
"""Share of resamples left out on each side: the interval is of 95 %."""
_SEED = 20190326
_AT_ONCE = 2_000_000
"""Random numbers drawn at once: 16 MB."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean of second - first over seeds and images, with its 95 % interval."""

    mean: float
    low: float
    high: float


def mean_intervals(
    values: Tensor,
    *,
    are_rates: Sequence[bool],
    resamples: int = RESAMPLES,
    seed: int = _SEED,
) -> list[tuple[float, float]]:
    """Return the 95 % interval of the mean of each column: percentiles of its resampled means.

    A rate of which no image shows a sign (or every one does) would get an interval of no width:
    then the other end is the exact binomial one, 1 - 0.025 ** (1 / images) away.

    Args:
        values: (images, columns).
        are_rates: for each column, whether its values are shares between 0 and 1.
        resamples: number of times that the images are drawn with replacement.
        seed: of the draws.
    """
    samples = resampled_means(values, resamples=resamples, seed=seed)
    return _ends(values, samples, are_rates)


def combined_intervals(
    columns: Mapping[str, Tensor],
    drawn_together: Mapping[str, str],
    combinations: Mapping[str, Mapping[str, float]],
    *,
    no_rates: Set[str] = frozenset(),
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """Return the 95 % intervals of the means of several sets of images, and of weighted sums.

    Args:
        columns: (images,) values by name; sets may have different numbers of images.
        drawn_together: the set of images of each column, by any label. Columns of one set are
            resampled together (the same photographs under several corruptions), sets apart.
        combinations: weights of columns, by name of the weighted sum of means.
        no_rates: columns whose values are not shares between 0 and 1.
        resamples: number of times that the images are drawn with replacement.
    """
    intervals: dict[str, tuple[float, float]] = {}
    samples: dict[str, Tensor] = {}
    for number, label in enumerate(dict.fromkeys(drawn_together[name] for name in columns)):
        names = [name for name in columns if drawn_together[name] == label]
        values = torch.stack([columns[name].double() for name in names], dim=1)
        drawn = resampled_means(values, resamples=resamples, seed=_SEED + number)
        found = _ends(values, drawn, [name not in no_rates for name in names])
        intervals |= dict(zip(names, found, strict=True))
        samples |= dict(zip(names, drawn.unbind(1), strict=True))
    for name, weights in combinations.items():
        total = sum((weight * samples[each] for each, weight in weights.items()), torch.zeros(()))
        least, most = _range_of_sum(columns, weights)
        low, high = (
            min(max(float(end), least), most) for end in percentiles(total.double().unsqueeze(1))
        )
        if all(bool((samples[each] == samples[each][0]).all()) for each in weights):
            # Nothing was seen to vary: what is known of the parts bounds their sum.
            low = math.fsum(weight * intervals[each][0] for each, weight in weights.items())
            high = math.fsum(weight * intervals[each][1] for each, weight in weights.items())
        intervals[name] = (low, high)
    return intervals


def resampled_means(values: Tensor, *, resamples: int = RESAMPLES, seed: int = _SEED) -> Tensor:
    """Return the means of each column over images drawn with replacement.

    The draws depend on the seed and the number of images alone: columns of several calls with as
    many images are resampled together. Maps (images, columns) to (resamples, columns), float64.
    """
    # The draws are of deviations, so that float32 keeps the digits where a spread is small.
    centre = values.double().mean(0)
    deviations = (values.double() - centre).float()
    means = [
        (counts @ deviations).double() / len(values) + centre
        for counts in _draw_counts(len(values), resamples, seed)
    ]
    # A mean lies among its values; rounding may put it a little outside.
    return torch.cat(means).clamp(values.double().amin(0), values.double().amax(0))


def percentiles(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of the 95 % interval of (resamples, columns) samples, (columns,) each."""
    ends = torch.quantile(samples, torch.tensor([_TAIL, 1 - _TAIL], dtype=samples.dtype), dim=0)
    return ends[0], ends[1]


def paired_interval(
    first: Tensor,
    second: Tensor,
    *,
    is_rate: bool = False,
    resamples: int = RESAMPLES,
    seed: int = _SEED,
) -> PairedDifference:
    """Return the mean of second - first with a 95 % interval over seeds and images.

    Both are (seeds, images): the same seeds and the same images in the same order. Seeds and images
    are drawn with replacement independently of each other (a crossed bootstrap), so the interval
    covers another draw of both; with one seed it is over images only, and says nothing about
    training again. A bootstrap over few seeds is too narrow: the part of the seeds' means is widened
    by sqrt(s / (s - 1)) and by Student's t with s - 1 degrees of freedom over the normal quantile.
    What is left to chance in each pair of seed and image is counted more than once, so that the
    interval is rather too wide than too narrow; with `is_rate`, for values that are shares between
    0 and 1, it ends at -1 and 1.

    Raises:
        ValueError: the shapes differ, or there is nothing to compare.
    """
    if first.shape != second.shape or first.ndim != 2 or first.numel() == 0:
        raise ValueError(
            f"paired values are (seeds, images), of one shape: not {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    difference = second.double() - first.double()
    mean = float(difference.mean())
    num_seeds, num_images = difference.shape
    by_seed = torch.cat(
        [
            counts.double() @ difference.T / num_images
            for counts in _draw_counts(num_images, resamples, seed)
        ]
    )
    shares = torch.cat(list(_draw_counts(num_seeds, resamples, seed + 1)))
    samples = (by_seed * shares).sum(1) / num_seeds
    if num_seeds > 1:
        widening = (
            math.sqrt(num_seeds / (num_seeds - 1))
            * student_quantile(num_seeds - 1)
            / NORMAL_QUANTILE
        )
        samples += (widening - 1) * ((shares - 1) * difference.mean(1)).sum(1) / num_seeds
    low, high = (float(end) for end in percentiles(samples.unsqueeze(1)))
    if is_rate:
        low, high = max(low, -1.0), min(high, 1.0)
    return PairedDifference(mean, low, high)


def proportion_interval(successes: int, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, Wilson's: also of few images it covers about what it says.

    A bootstrap of ten images, all of them right, would say that there is no doubt.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22,
    1927, doi:10.1080/01621459.1927.10502953.

    Args:
        successes: how many images show what is counted.
        number: of all images, 1 or more.
    """
    share, square = successes / number, NORMAL_QUANTILE**2
    centre = (share + square / (2 * number)) / (1 + square / number)
    spread = share * (1 - share) / number + square / (4 * number**2)
    reach = NORMAL_QUANTILE * math.sqrt(spread) / (1 + square / number)
    # Rounding may leave the last digit beyond the ends.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == number else centre + reach
    return low, high


def unseen_share(number: int) -> float:
    """Return the largest share, at 97.5 %, of what not one of so many images shows."""
    return 1 - _TAIL ** (1 / number)


def _ends(values: Tensor, samples: Tensor, are_rates: Sequence[bool]) -> list[tuple[float, float]]:
    """Return the interval of each column, with the exact binomial end where nothing varies."""
    low, high = percentiles(samples)
    intervals = list(zip(low.tolist(), high.tolist(), strict=True))
    reach = unseen_share(len(values))
    for column, is_rate in enumerate(are_rates):
        if is_rate and bool((values[:, column] == 0).all()):
            intervals[column] = (0.0, reach)
        elif is_rate and bool((values[:, column] == 1).all()):
            intervals[column] = (1 - reach, 1.0)
    return intervals


def _range_of_sum(
    columns: Mapping[str, Tensor], weights: Mapping[str, float]
) -> tuple[float, float]:
    """Return the least and the most that a weighted sum of the columns' means can be."""
    least, most = list[float](), list[float]()
    for name, weight in weights.items():
        ends = (
            weight * float(columns[name].double().min()),
            weight * float(columns[name].double().max()),
        )
        least.append(min(ends))
        most.append(max(ends))
    # Rounded once: the sum of n times 1 / n is 1.
    return math.fsum(least), math.fsum(most)


def _draw_counts(number: int, resamples: int, seed: int) -> Iterator[Tensor]:
    """Yield how often each of `number` things is drawn, in parts of (some resamples, number)."""
    generator = torch.Generator().manual_seed(seed)
    at_once = max(1, min(resamples, _AT_ONCE // number))
    for begin in range(0, resamples, at_once):
        rows = min(at_once, resamples - begin)
        drawn = torch.randint(number, (rows, number), generator=generator)
        drawn += torch.arange(rows).unsqueeze(1) * number
        counts = torch.bincount(drawn.flatten(), minlength=rows * number)
        yield counts.reshape(rows, number).float()
