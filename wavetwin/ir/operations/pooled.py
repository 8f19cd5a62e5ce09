"""Define poolings that a pass makes of norm, activation and maximum, where the native kernel computes."""

from __future__ import annotations

from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.networks import SlidingWindow
from wavetwin.ir.operations.norms import BatchNorm
from wavetwin.ir.operations.operation import Call, Shape, UnfitError


@frozen(kw_only=True)
class ReluMaxPool(SlidingWindow, op="relu_max_pool"):
    """The maximum of positive parts in a window; several inputs are joined along the channels."""

    inputs = (1, None)

    def output(self, *shapes: Shape) -> Shape:
        """Return as many positions as the window has, of all inputs' channels."""
        if len({shape[1:] for shape in shapes}) != 1:
            raise UnfitError("joined maps have one size")
        joined = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        return SlidingWindow.output(self, joined)

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a comparison a value, and the window's size at every position."""
        return sum(map(prod, shapes)) + prod(out) * self.kernel_size**2

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._named("kernel_size", "stride") | self._changed(padding=0)
        return Call.of("ReluMaxPool", **options)


@frozen(kw_only=True)
class NormMaxPool(BatchNorm, op="norm_max_pool"):
    """A batch norm, and a `relu_max_pool` after it; the parameters are the norm's."""

    works_channel_by_channel = False
    is_written_around = False
    inputs = (1, None)

    kernel_size: int
    stride: int
    padding: int

    @property
    def _pool(self) -> ReluMaxPool:
        window = (self.kernel_size, self.stride, self.padding)
        return ReluMaxPool(kernel_size=window[0], stride=window[1], padding=window[2])

    def output(self, *shapes: Shape) -> Shape:
        """Return as many positions as the window has, of all inputs' channels."""
        return self._pool.output(*shapes)

    def needs_several_images(self, out: Shape) -> bool:
        """Return False: there are more values than the maxima."""
        return False

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication and an addition a value, and those of the maximum."""
        return 2 * sum(map(prod, shapes)) + self._pool.elementwise(out, *shapes)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._named("kernel_size", "stride")
        options |= self._changed(padding=0, eps=1e-5, momentum=0.1)
        return Call.of("NormMaxPool", self.channels, **options)
