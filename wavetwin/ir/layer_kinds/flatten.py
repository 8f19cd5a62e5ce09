"""Define the layer `flatten`."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Flatten, Shape

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class FlattenLayer(LayerKind):
    """Maps to one vector per image; it has no fields."""

    key = "flatten"

    def operation(self, shape: Shape, options: LayerOptions) -> Flatten:
        """Return the flattening."""
        return Flatten()


LAYER_KINDS = (FlattenLayer,)
