"""Describe what scores.json has of an evaluation, as annotations, and how readers call it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from wavetwin.ir.frozen import frozen

__all__ = [
    "CorruptionErrors",
    "Divergences",
    "ErrorRates",
    "FlipRates",
    "OneCropScores",
    "PerturbationRates",
    "ScoreLabel",
]


class ErrorRates(TypedDict):
    """Of one crop and of ten."""

    top1_error: float
    top5_error: float
    expected_calibration_error: NotRequired[float]
    """Records of before it was computed have none; so with what follows."""
    calibration_bins: NotRequired[int]
    metrics: NotRequired[dict[str, float]]
    """Of the project's own, by their names; absent where the entry asks for none."""


class OneCropScores(ErrorRates):
    """Of one crop, with what ten crops have not."""

    loss: NotRequired[float]


class FlipRates(TypedDict):
    """Of shifts, by their step."""

    flip_rate: dict[str, float]
    mean_flip_rate: float


class Divergences(TypedDict):
    """Of shifts: by the shift, or by both shifts where images move in both directions."""

    kl_divergence: list[float] | list[list[float]]


class CorruptionErrors(TypedDict):
    """Of corruptions, by their severity."""

    top1_error: NotRequired[dict[str, dict[str, float]]]


class PerturbationRates(TypedDict):
    """Of perturbations."""

    flip_rate: NotRequired[dict[str, float]]


@frozen
class ScoreLabel:
    """How a score is called where it stands for all of an entry."""

    name: str
    """In scores.json."""
    label: str
    form: Literal["rate", "percent", "number"] = "rate"
    """A share between 0 and 1, something in percent, or any other number."""
