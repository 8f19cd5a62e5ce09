"""Define the layer `linear`."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.initial_laws import INITIAL_LAWS, InitialLaw
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Linear, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class LinearLayer(LayerKind):
    """Fully connected layer."""

    key = "linear"
    takes_followers = True
    hands_over = ("features",)
    gives = "features"

    features: int | None = declare(None, ge=1, le=1048576)
    """Outputs; default: the number of classes."""
    bias: bool = True
    """Whether each output has a bias."""
    initial: InitialLaw | None = declare(None, kinds=INITIAL_LAWS)
    """How the weights begin; default: as `backbone.initial` says."""
    frozen: bool = declare(False, later=True)
    """Whether the layer keeps its initial (or loaded) weights."""

    def operation(self, shape: Shape, options: LayerOptions) -> Linear:
        """Return the fully connected layer."""
        law = options.law(self.initial)
        return Linear(
            features=self.features or options.num_classes,
            bias=self.bias,
            initial=law.name,
            gain=law.scale,
            frozen=self.frozen,
        )


LAYER_KINDS = (LinearLayer,)
