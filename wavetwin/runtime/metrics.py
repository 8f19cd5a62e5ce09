"""What predictions are judged by (numerics.md section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["divergence_from_first", "flips", "wrong_guesses"]


def wrong_guesses(scores: Tensor, labels: Tensor, guesses: int) -> int:
    """Return for how many images the class is not among the first guesses.

    With fewer classes than guesses none is wrong.
    """
    if guesses == 1:
        # Among equal scores topk may choose another one than argmax, which flips are counted with.
        return int((scores.argmax(1) != labels).sum())
    best = scores.topk(min(guesses, scores.shape[1]), dim=1).indices
    return len(labels) - int((best == labels.unsqueeze(1)).any(1).sum())


def flips(classes: Tensor, step: int) -> tuple[int, int]:
    """Count pairs of frames `step` apart whose first guesses differ, and all such pairs.

    `classes` is (images, rows, columns): frames moved down along rows, to the right along columns.
    A line of frames has one row or one column; a grid is compared along both.
    """
    differ, pairs = 0, 0
    for first, second in (
        (classes[:, :, :-step], classes[:, :, step:]),
        (classes[:, :-step], classes[:, step:]),
    ):
        if first.numel() > 0:
            differ += int((first != second).sum())
            pairs += first.numel()
    return differ, pairs


def divergence_from_first(logits: Tensor) -> Tensor:
    """Return KL(p_0 || p_shift), summed over the images, for each frame.

    `logits` is (images, rows, columns, classes), the first frame the one not moved; the result is
    (rows, columns) in float64 and nats.
    """
    log_p = torch.log_softmax(logits.double(), dim=-1)
    reference = log_p[:, :1, :1]
    return (reference.exp() * (reference - log_p)).sum(-1).sum(0)
