"""Compare the names and shapes of weights, of two models by their graphs, or of two files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wavetwin.ir.graph import ModuleGraph

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a header says of a tensor."""

    shape: Shape
    dtype: str | None = None
    """As safetensors writes it, such as `F32`; None where only a spec says what there is."""


@dataclass(frozen=True, slots=True)
class TensorChanges:
    """How the tensors of two models or files compare, by name."""

    same: tuple[str, ...]
    added: tuple[str, ...]
    """In the second alone."""
    removed: tuple[str, ...]
    changed: tuple[tuple[str, TensorInfo, TensorInfo], ...]
    """Of another shape or type."""

    @property
    def is_empty(self) -> bool:
        """Whether names, shapes and types are the same."""
        return not (self.added or self.removed or self.changed)


def compare_tensors(
    before: Mapping[str, TensorInfo], after: Mapping[str, TensorInfo]
) -> TensorChanges:
    """Compare tensors by name, shape and, where both have one, type."""
    shared = [name for name in before if name in after]
    changed = tuple(
        (name, before[name], after[name]) for name in shared if not _fit(before[name], after[name])
    )
    different = {name for name, _, _ in changed}
    return TensorChanges(
        tuple(name for name in shared if name not in different),
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        changed,
    )


def expected_tensors(graph: ModuleGraph) -> dict[str, TensorInfo]:
    """Return the state dict's names and shapes of a graph as written (docs/graph.md)."""
    return {name: TensorInfo(shape) for name, shape in graph.state().items()}


def _fit(first: TensorInfo, second: TensorInfo) -> bool:
    same_type = None in (first.dtype, second.dtype) or first.dtype == second.dtype
    return same_type and first.shape == second.shape
