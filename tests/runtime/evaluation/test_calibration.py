"""The expected calibration error, against its definition and against torchmetrics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavetwin.runtime.evaluation.calibration import calibrate
from wavetwin.runtime.process.torchvision_compat import import_torchvision


def by_definition(confidence: list[float], is_right: list[bool], bins: int) -> float:
    """Guo et al., equation 3, an image at a time."""
    total = 0.0
    for number in range(1, bins + 1):
        members = [
            (value, right)
            for value, right in zip(confidence, is_right, strict=True)
            if (number - 1) / bins < value <= number / bins or (number == 1 and value == 0)
        ]
        if members:
            accuracy = sum(right for _, right in members) / len(members)
            mean = math.fsum(value for value, _ in members) / len(members)
            total += len(members) / len(confidence) * abs(accuracy - mean)
    return total


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.integers(2, 20),
)
def test_error_is_as_it_is_defined(images: list[tuple[float, bool]], bins: int) -> None:
    confidence = [value for value, _ in images]
    is_right = [right for _, right in images]
    found = calibrate(torch.tensor(confidence, dtype=torch.float64), torch.tensor(is_right), bins)
    # Sums of at most 40 doubles below 1.
    assert found.error == pytest.approx(by_definition(confidence, is_right, bins), abs=1e-13)
    assert sum(found.images) == len(images)
    assert len(found.images) == len(found.accuracy) == found.bins == bins
    assert found.mean_confidence == pytest.approx(math.fsum(confidence) / len(images), abs=1e-13)


def test_an_upper_end_belongs_to_its_bin() -> None:
    found = calibrate(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), torch.ones(5).bool(), 4)
    assert found.images == (2, 1, 1, 1)
    assert found.accuracy == (1.0, 1.0, 1.0, 1.0)
    assert found.confidence == (0.125, 0.5, 0.75, 1.0)
    # (1 + 0.75 + 0.5 + 0.25 + 0) / 5.
    assert found.error == 0.5


def test_right_probabilities_have_no_error() -> None:
    """Of 10 images at 0.7 seven are right, of 10 at 0.9 nine."""
    confidence = torch.tensor([0.7] * 10 + [0.9] * 10, dtype=torch.float64)
    is_right = torch.tensor([1] * 7 + [0] * 3 + [1] * 9 + [0]).bool()
    assert calibrate(confidence, is_right, 15).error == pytest.approx(0, abs=1e-15)
    # One bin for both: the mean of means.
    assert calibrate(confidence, ~is_right, 2).error == pytest.approx(0.8 - 0.2, abs=1e-15)


@pytest.mark.slow
def test_error_is_that_of_torchmetrics() -> None:
    """Its bins have their lower ends: values lie off the edges, and none is 1."""
    import_torchvision()
    from torchmetrics.functional.classification import multiclass_calibration_error

    generator = torch.Generator().manual_seed(3)
    for bins in (2, 10, 15, 100):
        logits = 3 * torch.randn(500, 7, generator=generator, dtype=torch.float64)
        labels = torch.randint(7, (500,), generator=generator)
        probabilities = logits.softmax(1)
        confidence, classes = probabilities.max(1)
        found = calibrate(confidence, classes == labels, bins)
        expected = multiclass_calibration_error(probabilities, labels, 7, n_bins=bins, norm="l1")
        # It adds up in float32.
        assert found.error == pytest.approx(float(expected), abs=1e-6)
        assert found.error > 0.01
