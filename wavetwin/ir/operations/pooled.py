"""Define poolings that a pass makes of norm, activation and maximum, where the native kernel computes."""

from __future__ import annotations

from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.blurs import BlurPool
from wavetwin.ir.operations.networks import SlidingWindow
from wavetwin.ir.operations.norms import BatchNorm
from wavetwin.ir.operations.operation import Call, Shape, UnfitError


@frozen(kw_only=True)
class ReluMaxPool(SlidingWindow, op="relu_max_pool"):
    """The maximum of positive parts in a window, and a blur; several inputs are joined along the channels."""

    inputs = (1, None)
    later = frozenset({"blur_size", "blur_stride"})

    blur_size: int | None = None
    """Taps of a blur after a maximum of stride 1."""
    blur_stride: int = 1

    @property
    def blur(self) -> BlurPool | None:
        """The blur after the maximum."""
        if self.blur_size is None:
            return None
        return BlurPool(size=self.blur_size, stride=self.blur_stride)

    def output(self, *shapes: Shape) -> Shape:
        """Return as many positions as the window has, of all inputs' channels."""
        if len({shape[1:] for shape in shapes}) != 1:
            raise UnfitError("joined maps have one size")
        maxima = self._maxima(*shapes)
        return maxima if self.blur is None else self.blur.output(maxima)

    def _maxima(self, *shapes: Shape) -> Shape:
        joined = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        return SlidingWindow.output(self, joined)

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the blur's taps."""
        return {} if self.blur is None else self.blur.constants(x)

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a comparison a value, the window's size at every position, and the blur's arithmetic."""
        maximum = sum(map(prod, shapes)) + prod(self._maxima(*shapes)) * self.kernel_size**2
        return maximum if self.blur is None else maximum + self.blur.elementwise(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._named("kernel_size", "stride")
        options |= self._changed(padding=0, blur_size=None, blur_stride=1)
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
    later = frozenset({"blur_size", "blur_stride"})

    blur_size: int | None = None
    """Taps of a blur after a maximum of stride 1."""
    blur_stride: int = 1

    @property
    def _pool(self) -> ReluMaxPool:
        return ReluMaxPool(
            kernel_size=self.kernel_size, stride=self.stride, padding=self.padding,
            blur_size=self.blur_size, blur_stride=self.blur_stride,
        )  # fmt: skip

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the blur's taps."""
        return self._pool.constants(x)

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
        options |= self._changed(padding=0, eps=1e-5, momentum=0.1, blur_size=None, blur_stride=1)
        return Call.of("NormMaxPool", self.channels, **options)
