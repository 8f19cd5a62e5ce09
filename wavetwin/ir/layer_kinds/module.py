"""Define the layer `module`."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Operation, Shape
from wavetwin.ir.own_code import OwnCode

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class ModuleLayer(OwnCode, LayerKind):
    """Module of your own, of a file of the project."""

    key = "module"
    takes_followers = True

    def operation(self, shape: Shape, options: LayerOptions) -> Operation:
        """Return the module, measured on this shape.

        Raises:
            OwnCodeError: it cannot be constructed, or does not take such an input.
        """
        assert options.measure is not None, "graphs with own code are built from specs"
        return options.measure(self, shape)


LAYER_KINDS = (ModuleLayer,)
