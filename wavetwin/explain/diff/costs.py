"""Add up what layers and networks cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a layer, a network, or the difference of two; per image."""

    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    """Numbers in floating-point buffers: fixed filters, running statistics."""
    macs: int = 0
    """Multiply-accumulates, as decisions on the graph count them (docs/graph.md)."""
    elementwise: int = 0
    """Scalar operations of norms, activations, pooling and blur."""
    activation_bytes: int = 0
    """Outputs in float32: an upper bound of what training keeps."""

    @property
    def parameters(self) -> int:
        """Trainable and frozen ones."""
        return self.trainable + self.frozen

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(ours + theirs for ours, theirs in _pairs(self, other)))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(ours - theirs for ours, theirs in _pairs(self, other)))

    def __bool__(self) -> bool:
        return self != Cost()


def cost_of(node: Node | None) -> Cost:
    """Return a layer's cost; nothing for no layer."""
    if node is None:
        return Cost()
    counts = node.parameters
    return Cost(
        counts.trainable,
        counts.frozen,
        counts.buffers,
        node.macs,
        node.elementwise,
        node.activation_bytes,
    )


def total_cost(layers: ModuleGraph | Iterable[Node]) -> Cost:
    """Return the sum over layers."""
    return sum(map(cost_of, layers), Cost())


def _pairs(first: Cost, second: Cost) -> Iterable[tuple[int, int]]:
    return ((getattr(first, each.name), getattr(second, each.name)) for each in fields(Cost))
