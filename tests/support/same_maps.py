"""Compare layers that compute the same in another order of sums, with their first and second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["assert_alike", "assert_second_derivatives_alike", "gradients"]

_TOLERANCE = 1e-12
"""Relative to the largest value or 1: the same sums in another order, in float64."""


def assert_alike(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    for value, other in zip(found, wanted, strict=True):
        assert value.shape == other.shape
        limit = _TOLERANCE * max(1.0, float(other.detach().abs().max()))
        assert (value - other).abs().max() <= limit


def gradients(output: Tensor, module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return those of the inputs and the parameters, in a direction that depends on the shape alone."""
    generator = torch.Generator().manual_seed(2)
    direction = torch.randn(output.shape, generator=generator, dtype=output.dtype)
    return list(torch.autograd.grad(output, [*inputs, *module.parameters()], direction))


def assert_second_derivatives_alike(
    layer: Any, whole: nn.Module, inputs: Sequence[Tensor], *, is_training: bool
) -> None:
    """Compare a layer that joins its inputs with one that takes them joined."""
    found: list[list[Tensor]] = []
    for module in (layer, whole):
        module.train(is_training)
        output = module(*inputs) if module is layer else module(torch.cat(list(inputs), 1))
        first = torch.autograd.grad(output.square().sum(), inputs, create_graph=True)
        wanted = [*inputs, *module.parameters()]
        total = torch.stack([each.square().sum() for each in first]).sum()
        found.append(list(torch.autograd.grad(total, wanted)))
    assert_alike(*found)
