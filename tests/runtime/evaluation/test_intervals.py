"""Bootstrap intervals: coverage on simulated data, and what they are exactly."""

from __future__ import annotations

import math

import pytest
import torch

from wavetwin.runtime.evaluation.intervals import (
    combined_intervals,
    mean_intervals,
    paired_interval,
    resampled_means,
)


def mean_interval(values: torch.Tensor, is_rate: bool = False) -> tuple[float, float]:
    """Return the interval of one column's mean."""
    (interval,) = mean_intervals(values.unsqueeze(1), are_rates=[is_rate])
    return interval


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_interval_of_a_mean_covers_it_in_95_of_100_cases():
    trials, images, rate = 400, 120, 0.2
    values = (torch.rand(images, trials, generator=generator(0)) < rate).double()
    ends = mean_intervals(values, are_rates=[True] * trials, resamples=1000)
    covered = sum(low <= rate <= high for low, high in ends) / trials
    # Two standard errors of 400 trials are 0.022; the percentile bootstrap of 120 images is a
    # little narrow.
    assert 0.915 <= covered <= 0.975


def test_interval_is_the_normal_one_of_many_images():
    values = torch.randn(4000, generator=generator(1), dtype=torch.float64) * 3 + 5
    low, high = mean_interval(values)
    spread = 1.96 * float(values.std()) / math.sqrt(4000)
    mean = float(values.mean())
    assert low == pytest.approx(mean - spread, abs=0.1 * spread)
    assert high == pytest.approx(mean + spread, abs=0.1 * spread)


def test_interval_is_the_same_again_and_in_parts(monkeypatch: pytest.MonkeyPatch):
    values = torch.rand(50, 3, generator=generator(2))
    first = mean_intervals(values, are_rates=[True] * 3)
    assert first == mean_intervals(values, are_rates=[True] * 3)
    assert first[1] == pytest.approx(mean_interval(values[:, 1], is_rate=True), abs=1e-6)
    assert first != mean_intervals(values, are_rates=[True] * 3, seed=1)
    with monkeypatch.context() as patch:
        # The same draws, a few resamples at a time.
        patch.setattr("wavetwin.runtime.evaluation.intervals._AT_ONCE", 50 * 7)
        in_parts = mean_intervals(values, are_rates=[True] * 3)
    assert torch.allclose(torch.tensor(in_parts), torch.tensor(first), atol=1e-6)


def test_nothing_seen_is_no_certainty():
    # With 59 images and none of a kind, up to 1 - 0.025 ** (1 / 59) of all may be of it.
    zero, one = torch.zeros(59), torch.ones(59)
    reach = 1 - 0.025 ** (1 / 59)
    assert mean_interval(zero, is_rate=True) == (0.0, pytest.approx(reach))
    assert mean_interval(one, is_rate=True) == (pytest.approx(1 - reach), 1.0)
    assert mean_interval(zero) == (0.0, 0.0)


def test_columns_of_one_set_are_drawn_together():
    values = torch.rand(80, generator=generator(3), dtype=torch.float64)
    columns = {"a": values, "b": 1 - values, "c": values.flip(0)}
    same = combined_intervals(
        columns, dict.fromkeys(columns, "one set"), {"sum": {"a": 1.0, "b": 1.0}}
    )
    assert same["sum"] == (pytest.approx(1), pytest.approx(1))
    apart = combined_intervals(
        columns, {"a": "one", "b": "other", "c": "one"}, {"sum": {"a": 1.0, "b": 1.0}}
    )
    width = apart["a"][1] - apart["a"][0]
    assert apart["sum"][1] - apart["sum"][0] == pytest.approx(math.sqrt(2) * width, rel=0.15)
    assert apart["a"] == same["a"]


def test_combination_of_what_never_happened_is_bounded_by_its_parts():
    columns = {"a": torch.zeros(10), "b": torch.zeros(20)}
    ends = combined_intervals(columns, {"a": "x", "b": "y"}, {"mean": {"a": 0.5, "b": 0.5}})
    assert ends["mean"] == (0.0, pytest.approx((ends["a"][1] + ends["b"][1]) / 2))
    assert ends["mean"][1] > 0


def test_resampled_means_keep_small_spreads():
    values = 1000 + torch.randn(500, 1, generator=generator(4), dtype=torch.float64) * 1e-3
    spread = float(resampled_means(values).std())
    assert spread == pytest.approx(1e-3 / math.sqrt(500), rel=0.15)


@pytest.mark.parametrize("seed_spread", [0.0, 0.02])
def test_paired_interval_covers_seeds_and_images(seed_spread: float):
    trials, seeds, images, effect = 150, 5, 200, 0.05
    random = generator(5)
    covered = 0
    for _ in range(trials):
        of_image = torch.randn(1, images, generator=random) * 0.2
        of_seed = torch.randn(seeds, 1, generator=random) * seed_spread
        noise = torch.randn(seeds, images, generator=random) * 0.1
        shared = torch.rand(seeds, images, generator=random)
        difference = paired_interval(
            shared, shared + effect + of_image + of_seed + noise, resamples=400
        )
        covered += difference.low <= effect <= difference.high
    # Three standard errors of 150 trials are 0.053; a crossed bootstrap is rather too wide, and an
    # interval that ignored the seeds would cover 0.73 in the second case.
    assert 0.90 <= covered / trials <= 1.0


def test_paired_interval_says_which_way_and_repeats():
    first = (torch.rand(5, 400, generator=generator(6)) < 0.3).float()
    second = (torch.rand(5, 400, generator=generator(7)) < 0.2).float()
    difference = paired_interval(first, second)
    assert difference.mean == pytest.approx(float(second.double().mean() - first.double().mean()))
    assert difference.low < difference.mean < difference.high < 0
    assert difference == paired_interval(first, second)
    assert paired_interval(second, first).mean == -difference.mean


def test_paired_interval_of_one_seed_is_over_the_images():
    first = torch.rand(1, 300, generator=generator(8), dtype=torch.float64)
    second = torch.rand(1, 300, generator=generator(9), dtype=torch.float64)
    paired = paired_interval(first, second)
    low, high = mean_interval((second - first)[0])
    assert (paired.low, paired.high) == (
        pytest.approx(low, abs=1e-6),
        pytest.approx(high, abs=1e-6),
    )


def test_paired_interval_wants_pairs():
    with pytest.raises(ValueError, match=r"of one shape: not \(2, 3\) and \(2, 4\)"):
        paired_interval(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("share", [0.005, 0.02, 0.98, 0.995])
@pytest.mark.parametrize("pairs", [1, 3, 7])
def test_intervals_of_rates_lie_between_0_and_1(share: float, pairs: int):
    """Deviations in float32 put the ends of rare flips below 0 by some 1e-9."""
    for seed in range(8):
        drawn = torch.rand(48, 4, pairs, generator=generator(seed)) < share
        values = drawn.double().mean(2)
        for low, high in mean_intervals(values, are_rates=[True] * 4):
            assert 0 <= low <= high <= 1
        columns = {str(number): values[:, number] for number in range(4)}
        found = combined_intervals(
            columns, dict.fromkeys(columns, "images"), {"mean": dict.fromkeys(columns, 1 / 4)}
        )
        assert all(0 <= low <= high <= 1 for low, high in found.values())


def test_the_interval_of_a_weighted_sum_lies_in_its_range():
    columns = {"a": torch.zeros(20), "b": (torch.arange(20) == 3).double()}
    found = combined_intervals(
        columns, {"a": "x", "b": "y"}, {"sum": {"a": 1.0, "b": 3.0}, "less": {"b": -1.0}}
    )
    assert 0 <= found["sum"][0] <= found["sum"][1] <= 3
    assert -1 <= found["less"][0] <= found["less"][1] <= 0


def test_paired_differences_of_rates_lie_between_minus_1_and_1():
    """Student's t with one degree of freedom reaches far beyond what a rate can be."""
    first = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    second = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    wide = paired_interval(first, second)
    assert wide.high > 1
    rate = paired_interval(first, second, is_rate=True)
    assert (rate.low, rate.high) == (max(wide.low, -1), 1)
    negative = paired_interval(second, first, is_rate=True)
    assert negative.low == -1
