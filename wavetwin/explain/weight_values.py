"""Compare the tensors of two safetensors files, number by number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TensorDifference", "compare_values"]


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How far two tensors of one name are apart, computed in float64."""

    name: str
    largest: float | None
    """Largest absolute difference; None where a value of only one of them is no finite number."""
    relative: float | None
    """Euclidean norm of the difference over the first tensor's; None where that is 0 or none."""


def compare_values(first: Path, second: Path, names: tuple[str, ...]) -> list[TensorDifference]:
    """Return the tensors of these names, of equal shapes in both files, whose values differ.

    Only tensors that are compared are read, one pair at a time. What is no number in both, at the
    same position, is no difference: a file is the same as itself.
    """
    import torch
    from safetensors import safe_open

    found: list[TensorDifference] = []
    with safe_open(first, framework="pt") as ours, safe_open(second, framework="pt") as theirs:
        for name in names:
            before, after = (_wide(file.get_tensor(name)) for file in (ours, theirs))
            same = (before == after) | (before.isnan() & after.isnan())
            if same.all():
                continue
            # Equal infinities have no distance.
            apart = torch.where(same, 0.0, after - before)
            largest = float(apart.abs().max())
            norm = float(before.norm())
            is_known = math.isfinite(largest) and math.isfinite(norm) and norm > 0
            found.append(
                TensorDifference(
                    name,
                    largest if math.isfinite(largest) else None,
                    float(apart.norm()) / norm if is_known else None,
                )
            )
    return found


def _wide(tensor: Tensor) -> Tensor:
    """Return a tensor in double precision, complex where it is complex."""
    import torch

    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
