"""Define the layer `dropout`."""

from __future__ import annotations

from typing import Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Dropout, Operation, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class DropoutLayer(LayerKind):
    """Dropout."""

    key = "dropout"
    follows = 2

    probability: float = declare(0.5, ge=0.0, lt=1.0)
    """Probability that a value is set to zero in training."""

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that a dropout of a named trunk is."""
        if not isinstance(operation, Dropout):
            return None
        return cls(probability=operation.probability)

    def operation(self, shape: Shape, options: LayerOptions) -> Dropout:
        """Return the dropout."""
        return Dropout(probability=self.probability)


LAYER_KINDS = (DropoutLayer,)
