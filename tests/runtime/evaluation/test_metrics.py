"""What predictions are judged by: brute force and figures by hand."""

from __future__ import annotations

import math

import pytest
import torch

from wavetwin.published import find_published
from wavetwin.runtime.evaluation.baselines import (
    ALEXNET_ERRORS,
    CORRUPTIONS,
    PUBLISHED_ERRORS,
    PUBLISHED_FLIP_RATES,
)
from wavetwin.runtime.evaluation.metrics import (
    are_wrong,
    divergence_from_first,
    flip_shares,
    flips,
    mfr_against,
    relative_to,
)
from wavetwin.runtime.process.errors import RunError


def test_wrong_guesses():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.8, 0.1, 0.3]])
    labels = torch.tensor([2, 1])
    wrong = [are_wrong(scores, labels, predictions).tolist() for predictions in (1, 2, 5)]
    assert wrong == [[True, True], [False, True], [False, False]]


def test_flips_by_brute_force():
    classes = torch.randint(0, 3, (5, 4, 6), generator=torch.Generator().manual_seed(0))
    for step in (1, 2, 5):
        differ, pairs = [0] * 5, 0
        for number, image in enumerate(classes.tolist()):
            pairs = 0
            for row in range(4):
                for column in range(6):
                    for down, right in ((0, step), (step, 0)):
                        if row + down < 4 and column + right < 6:
                            pairs += 1
                            differ[number] += (
                                image[row][column] != image[row + down][column + right]
                            )
        counted, all_pairs = flips(classes, step)
        assert (counted.tolist(), all_pairs) == (differ, pairs)
        assert flip_shares(classes, step).tolist() == [number / pairs for number in differ]


def test_divergence_by_hand():
    p, q = [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]
    logits = torch.tensor([p, q]).log().reshape(1, 2, 3)
    expected = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert divergence_from_first(logits).tolist() == [[0.0, pytest.approx(expected, rel=1e-6)]]


def published_rates(name: str) -> dict[str, dict[str, float]]:
    model = find_published(name)
    assert model is not None
    return {
        direction: {str(step): rate for step, rate in model.flip_rates(direction).items()}
        for direction in ("horizontal", "vertical", "diagonal")
    }


def test_mfr_gives_the_posters_figures():
    alexnet = published_rates("AI")
    assert round(mfr_against(published_rates("RI"), alexnet), 1) == 78.1
    assert round(mfr_against(published_rates("RwyI"), alexnet), 1) == 77.2
    assert mfr_against(alexnet, alexnet) == pytest.approx(100)


def test_mfr_compares_like_with_like():
    rates = {"horizontal": {"1": 0.1, "2": 0.2}}
    assert mfr_against(rates, {"horizontal": {"1": 0.2, "2": 0.4}}) == pytest.approx(50)
    with pytest.raises(RunError, match="other directions or steps"):
        mfr_against(rates, {"horizontal": {"1": 0.2}})
    with pytest.raises(RunError, match="other directions or steps"):
        mfr_against(rates, {"vertical": {"1": 0.2, "2": 0.4}})
    with pytest.raises(RunError, match="never flips"):
        mfr_against(rates, {"horizontal": {"1": 0.0, "2": 0.0}})


def test_relative_to_by_hand():
    assert relative_to({"a": 0.1, "b": 0.3}, {"a": 0.2, "b": 0.4}) == pytest.approx(62.5)
    with pytest.raises(RunError, match="other types: b"):
        relative_to({"a": 0.1}, {"a": 0.2, "b": 0.4})
    with pytest.raises(RunError, match="is 0 on a"):
        relative_to({"a": 0.1}, {"a": 0.0})


def test_published_baselines_are_the_published_figures():
    published = find_published("AI")
    assert published is not None
    errors = {name: sum(each.values()) / 5 for name, each in published.corruption_errors().items()}
    assert pytest.approx(errors, abs=1e-6) == PUBLISHED_ERRORS
    rates = {name: steps[1] for name, steps in published.perturbation_rates().items()}
    assert rates == PUBLISHED_FLIP_RATES


def test_the_two_alexnets_are_nearly_equal():
    # Trained apart; a figure mistyped or under another name would not be.
    assert set(ALEXNET_ERRORS) == set(PUBLISHED_ERRORS) == set(CORRUPTIONS)
    assert len(CORRUPTIONS) == 15
    assert max(abs(ALEXNET_ERRORS[name] - PUBLISHED_ERRORS[name]) for name in CORRUPTIONS) < 0.015
