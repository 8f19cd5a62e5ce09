"""Define the layers that are activations."""

from __future__ import annotations

from typing import Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Gelu, LeakyRelu, Operation, Relu, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]

_PLACE = 3


@frozen(kw_only=True)
class ReluLayer(LayerKind):
    """Rectified linear unit; it has no fields."""

    key = "relu"
    follows = _PLACE

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that a rectified linear unit of a named trunk is."""
        return cls() if isinstance(operation, Relu) else None

    def operation(self, shape: Shape, options: LayerOptions) -> Relu:
        """Return the rectified linear unit."""
        return Relu()


@frozen(kw_only=True)
class LeakyReluLayer(LayerKind):
    """Rectified linear unit with a slope below zero."""

    key = "leaky_relu"
    follows = _PLACE

    slope: float = declare(0.01, ge=0.0, le=1.0)
    """What negative values are multiplied by."""

    def operation(self, shape: Shape, options: LayerOptions) -> LeakyRelu:
        """Return the rectified linear unit with this slope."""
        return LeakyRelu(slope=self.slope)


@frozen(kw_only=True)
class GeluLayer(LayerKind):
    """Gaussian error linear unit; it has no fields."""

    key = "gelu"
    follows = _PLACE

    def operation(self, shape: Shape, options: LayerOptions) -> Gelu:
        """Return the Gaussian error linear unit."""
        return Gelu()


LAYER_KINDS = (ReluLayer, LeakyReluLayer, GeluLayer)
