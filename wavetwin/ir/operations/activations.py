"""Define activations, value by value."""

from __future__ import annotations

from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape


@frozen(kw_only=True)
class Relu(Operation, op="relu"):
    """The positive part."""

    works_channel_by_channel = True
    works_on_maps = False
    is_written_around = True

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a comparison a value."""
        return prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.ReLU")


@frozen(kw_only=True)
class LeakyRelu(Operation, op="leaky_relu"):
    """The positive part, and the negative part by a factor."""

    works_channel_by_channel = True
    works_on_maps = False
    is_written_around = True

    slope: float
    """The factor."""

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a comparison and a multiplication a value."""
        return 2 * prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.LeakyReLU", self.slope)


@frozen(kw_only=True)
class Gelu(Operation, op="gelu"):
    """A value times the share of a normal law that is below it."""

    works_channel_by_channel = True
    works_on_maps = False
    is_written_around = True

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return an error function and three more operations a value."""
        return 4 * prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.GELU")
