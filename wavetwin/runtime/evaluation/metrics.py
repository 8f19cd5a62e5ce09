"""Judge predictions image by image (arXiv:2212.00394)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.runtime.process.errors import RunError

__all__ = [
    "are_wrong",
    "divergence_from_first",
    "flip_shares",
    "flips",
    "mfr_against",
    "relative_to",
]

FlipRates = Mapping[str, Mapping[str, float]]
"""Flip rate at each step, by direction; steps are texts, as in scores.json."""


def are_wrong(scores: Tensor, labels: Tensor, predictions: int) -> Tensor:
    """Return for which images (bool, (images,)) the class is not among the top predictions.

    With fewer classes than predictions none is wrong.
    """
    if predictions == 1:
        # Among equal scores topk may choose another one than argmax, which flips are counted with.
        return scores.argmax(1) != labels
    best = scores.topk(min(predictions, scores.shape[1]), dim=1).indices
    return ~(best == labels.unsqueeze(1)).any(1)


def flips(classes: Tensor, step: int) -> tuple[Tensor, int]:
    """Count each image's pairs of frames `step` apart whose top predictions differ.

    `classes` is (images, rows, columns): frames moved down along rows, to the right along columns.
    A line of frames has one row or one column; a grid is compared along both. Returns int64
    (images,), and how many pairs every image has.
    """
    differ, pairs = torch.zeros(len(classes), dtype=torch.int64), 0
    for first, second in (
        (classes[:, :, :-step], classes[:, :, step:]),
        (classes[:, :-step], classes[:, step:]),
    ):
        count = first.shape[1] * first.shape[2]
        if count > 0:
            differ += (first != second).flatten(1).sum(1)
            pairs += count
    return differ, pairs


def flip_shares(classes: Tensor, step: int) -> Tensor:
    """Return each image's share of differing pairs, float64 (images,); see `flips`."""
    differ, pairs = flips(classes, step)
    return differ.double() / pairs


def divergence_from_first(logits: Tensor) -> Tensor:
    """Return KL(p_0 || p_shift) of each image and frame, in nats.

    `logits` is (images, frames, classes), the first frame the one not moved; the result is
    (images, frames) in float64.
    """
    log_p = torch.log_softmax(logits.double(), dim=-1)
    reference = log_p[:, :1]
    return (reference.exp() * (reference - log_p)).sum(-1)


def mfr_against(rates: FlipRates, baseline: FlipRates) -> float:
    """Return the mean flip rate against a baseline's, in percent (arXiv:2212.00394).

    The mean is over all steps and directions; usual are the directions horizontal, vertical and
    diagonal with steps 1 to 8 (ImageNet) or 1 to 4 (CIFAR-10).

    Raises:
        RunError: the two have other directions or steps, or the baseline never flips.
    """
    shapes = [{name: sorted(steps) for name, steps in each.items()} for each in (rates, baseline)]
    if shapes[0] != shapes[1]:
        raise RunError(
            "not-comparable",
            "the flip rates and the baseline's are of other directions or steps: "
            f"{shapes[0]} and {shapes[1]}",
            "evaluate both with the same directions and max_step",
        )
    own, other = (
        [rate for steps in each.values() for rate in steps.values()] for each in (rates, baseline)
    )
    if sum(other) == 0:
        raise RunError("not-comparable", "the baseline never flips: nothing can be set against it")
    return 100 * sum(own) / sum(other)


def relative_to(values: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Return the mean over all types of a value over the baseline's, in percent.

    Of errors by corruption it is mCE, of flip rates by perturbation mFR, of top-5 distances mT5D.

    Raises:
        RunError: the types differ, or a value of the baseline is 0.
    """
    if values.keys() != baseline.keys() or not values:
        different = sorted(values.keys() ^ baseline.keys())
        raise RunError("not-comparable", f"the baseline is of other types: {list_some(different)}")
    nothing = [name for name, value in baseline.items() if value == 0]
    if nothing:
        raise RunError(
            "not-comparable",
            f"the baseline is 0 on {list_some(nothing)}: nothing can be set against it",
        )
    return 100 * sum(values[name] / baseline[name] for name in values) / len(values)
