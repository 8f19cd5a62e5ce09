"""Define the layers that are activations: `relu`."""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Relu, Shape

__all__ = ["LAYER_KINDS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReluLayer(LayerKind):
    """Rectified linear unit; it has no fields."""

    key = "relu"
    follows = 3

    def operation(self, shape: Shape, options: LayerOptions) -> Relu:
        """Return the rectified linear unit."""
        return Relu()


LAYER_KINDS = (ReluLayer,)
