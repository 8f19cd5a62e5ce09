"""Define the layer `linear`."""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Linear, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLayer(LayerKind):
    """Fully connected layer."""

    key = "linear"
    takes_followers = True
    gives = "features"

    features: int | None = declare(None, ge=1, le=1048576)
    """Outputs; default: the number of classes."""
    bias: bool = True
    """Whether each output has a bias."""

    def operation(self, shape: Shape, options: LayerOptions) -> Linear:
        """Return the fully connected layer."""
        features = self.features or options.num_classes
        return Linear(features=features, bias=self.bias, initial="default")


LAYER_KINDS = (LinearLayer,)
