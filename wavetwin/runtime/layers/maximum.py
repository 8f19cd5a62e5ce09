"""Take the maximum over a sliding window along one dimension."""

from __future__ import annotations

import torch
from torch import Tensor


def sliding_max(x: Tensor, dim: int, size: int, padding: int, out: Tensor | None = None) -> Tensor:
    """Return the maximum of each `size` neighbours along a dimension; not differentiable.

    One dimension after the other takes four comparisons a pixel for a window of 3, not eight.

    Args:
        x: contiguous if `out` is None.
        dim: dimension of `x`, of length n.
        size: neighbours.
        padding: how many of them may be missing at either end, less than half of `size`.
        out: memory for the result, n + 2 * padding - size + 1 long in `dim`.
    """
    assert 2 * padding < size
    length = x.shape[dim] + 2 * padding - size + 1
    if out is None:
        out = x.new_empty([*x.shape[:dim], length, *x.shape[dim + 1 :]])
    # Every result has a neighbour at offset 0.
    first = x.narrow(dim, 0, length)
    if size == 1:
        return out.copy_(first)
    end = min(length, x.shape[dim] - 1)
    torch.maximum(first.narrow(dim, 0, end), x.narrow(dim, 1, end), out=out.narrow(dim, 0, end))
    out.narrow(dim, end, length - end).copy_(first.narrow(dim, end, length - end))
    for offset in (*range(-padding, 0), *range(2, size - padding)):
        start, end = max(0, -offset), min(length, x.shape[dim] - offset)
        part = out.narrow(dim, start, end - start)
        torch.maximum(part, x.narrow(dim, start + offset, end - start), out=part)
    return out
