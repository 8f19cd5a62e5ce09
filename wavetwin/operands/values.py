"""Values: the tensors of two safetensors files, compared number by number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TensorDifference", "compare_values"]


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How far two tensors of one name are apart, computed in float64."""

    name: str
    largest: float
    """Largest absolute difference; infinite or not a number where a value is."""
    relative: float | None
    """Euclidean norm of the difference over the first tensor's; None where that is 0."""


def compare_values(first: Path, second: Path, names: tuple[str, ...]) -> list[TensorDifference]:
    """Return the tensors of these names, of equal shapes in both files, whose values differ.

    Only tensors that are compared are read, one pair at a time.
    """
    from safetensors import safe_open

    found: list[TensorDifference] = []
    with safe_open(first, framework="pt") as ours, safe_open(second, framework="pt") as theirs:
        for name in names:
            before, after = (file.get_tensor(name).double() for file in (ours, theirs))
            if before.equal(after):
                continue
            apart = after - before
            norm = float(before.norm())
            relative = float(apart.norm()) / norm if norm else None
            found.append(TensorDifference(name, float(apart.abs().max()), relative))
    return found
