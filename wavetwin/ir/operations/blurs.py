"""Define the operations that blur before they subsample."""

from __future__ import annotations

from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.networks import MaxPool
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError


@frozen(kw_only=True)
class Blur(Operation):
    """What smooths a map with reflected borders and keeps every `stride`-th sample."""

    is_blur = True
    settings = "pooling.blur_size"

    size: int
    stride: int

    @property
    def taps(self) -> int | None:
        """The filter's length."""
        return self.size

    def output(self, *shapes: Shape) -> Shape:
        """Return the kept positions."""
        channels, height, width = shapes[0]
        if min(height, width) <= self.size // 2:
            raise UnfitError(
                f"a margin of {self.size // 2} cannot be reflected in a map of {height} x {width}"
            )
        return channels, -(-height // self.stride), -(-width // self.stride)

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return the filter's size at every kept position."""
        return prod(out) * self.size**2


@frozen(kw_only=True)
class BlurPool(Blur, op="blur_pool"):
    """A binomial filter."""

    works_channel_by_channel = True
    filters_are_fixed = True

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the taps of one direction."""
        return {"taps": (self.size,)}

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("BlurPool", **self._named("size", "stride"))


@frozen(kw_only=True)
class MaxBlurPool(Operation, op="max_blur_pool"):
    """A maximum at every position, then a binomial filter at the kept ones: made by a pass."""

    is_blur = True
    filters_are_fixed = True

    kernel_size: int
    padding: int
    size: int
    stride: int

    @property
    def maximum(self) -> MaxPool:
        """The maximum before the blur."""
        return MaxPool(kernel_size=self.kernel_size, stride=1, padding=self.padding)

    @property
    def blur(self) -> BlurPool:
        """The blur after the maximum."""
        return BlurPool(size=self.size, stride=self.stride)

    def output(self, *shapes: Shape) -> Shape:
        """Return the kept positions."""
        return self.blur.output(self.maximum.output(shapes[0]))

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the blur's taps."""
        return self.blur.constants(x)

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return both operations' arithmetic."""
        pooled = self.maximum.output(shapes[0])
        return self.maximum.elementwise(pooled) + self.blur.elementwise(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("MaxBlurPool", **self._named("kernel_size", "padding", "size", "stride"))


@frozen(kw_only=True)
class AdaptiveBlur(Blur, op="adaptive_blur"):
    """Filters that a convolution makes of the map itself, one a group of channels."""

    groups: int
    normalise: str
    """`joint`: one softmax over all groups' taps, so that a constant comes out 1/groups."""

    @property
    def constant_gain(self) -> float:
        """What a constant map is multiplied by."""
        return 1 / self.groups if self.normalise == "joint" else 1.0

    @property
    def _maps(self) -> int:
        return self.groups * self.size**2

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return those of the convolution and of the norm after it."""
        return {
            "conv.weight": (self._maps, x[0], self.size, self.size),
            "norm.weight": (self._maps,),
            "norm.bias": (self._maps,),
        }

    def statistics(self, x: Shape) -> dict[str, Shape]:
        """Return the norm's."""
        of_maps = dict.fromkeys(("norm.running_mean", "norm.running_var"), (self._maps,))
        return {**of_maps, "norm.num_batches_tracked": ()}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the convolution's, at every position."""
        return prod(self.weights(shapes[0])["conv.weight"]) * prod(shapes[0][1:])

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return norm and softmax at every position, and the filter at the kept ones."""
        return 5 * self._maps * prod(shapes[0][1:]) + super().elementwise(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._named("size", "stride", "groups", "normalise")
        return Call.of("AdaptiveBlur", x[0], **options)
