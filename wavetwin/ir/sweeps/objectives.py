"""Define by which score of the validation images a sweep compares its points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wavetwin.ir.evaluations import EVALUATIONS
from wavetwin.ir.frozen import frozen
from wavetwin.ir.scores import (
    CorruptionErrors,
    Divergences,
    ErrorRates,
    FlipRates,
    PerturbationRates,
)

__all__ = ["OBJECTIVES", "Objective", "is_test_score"]


@frozen
class Objective:
    """A score that is written after every epoch; lower is better."""

    name: str
    text: str
    key: str
    """In the scores of the validation images."""
    is_share: bool
    """Whether it lies between 0 and 1."""

    def value(self, epoch: Mapping[str, Any]) -> float:
        """Return the score of an epoch's record in metrics.jsonl.

        Raises:
            KeyError: no image was held out.
        """
        scores = epoch["validation"]
        if scores is None:
            raise KeyError("validation")
        return float(scores[self.key])

    def shown(self, value: float) -> str:
        """Return a value as tables have it."""
        return f"{100 * value:.2f} %" if self.is_share else f"{value:.4f}"


OBJECTIVES = {
    each.name: each
    for each in (
        Objective("validation.loss", "mean cross-entropy", "loss", is_share=False),
        Objective(
            "validation.top1_error", "share of wrong predictions", "top1_error", is_share=True
        ),
    )
}
"""The scores, by name."""

_TEST_WORDS = frozenset(
    {"test", *EVALUATIONS}.union(
        *(
            form.__annotations__
            for form in (ErrorRates, FlipRates, Divergences, CorruptionErrors, PerturbationRates)
        )
    )
)
"""What a score of the evaluation suite is asked for by."""


def is_test_score(text: str) -> bool:
    """Return whether somebody who writes this means a score of the evaluation suite's test images."""
    return text not in OBJECTIVES and not _TEST_WORDS.isdisjoint(text.split("."))
