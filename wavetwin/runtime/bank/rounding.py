"""Run linear transforms under autocast: float32 inside, rounded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result", Tensor, tuple[Tensor, Tensor], tuple[Tensor, ...])


def rounded_once(transform: Callable[..., Result], *tensors: Tensor) -> Result:
    """Run a transform in float32 where autocast would round every stage, and round its result.

    Rounded stages cost small coefficients their phase, and the gradient through a modulus with it; a
    filter bank is a hundredth of a network's work.
    """
    first = tensors[0]
    device = first.device.type
    if first.is_meta or first.dtype == torch.float64 or not torch.is_autocast_enabled(device):
        return transform(*tensors)
    narrow = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        result = transform(*(tensor.float() for tensor in tensors))
    if isinstance(result, tuple):
        return tuple(part.to(narrow) for part in result)  # pyright: ignore[reportReturnType]
    return result.to(narrow)
