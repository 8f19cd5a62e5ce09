"""Define the operations of common networks: torch's layers, and a norm and a bias beside them."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import ClassVar

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError

KAIMING = "kaiming_normal_fan_out"
"""Of `initial`: normal with a variance of 2 by fan out, as residual networks begin, with biases of 0."""
NORMAL = "normal"
"""Of `initial`: normal with a standard deviation of 0.01, as VGG's linear layers begin, with biases
of 0."""


XAVIER = "xavier_uniform"
"""Of `initial`: uniform between plus and minus `gain` times the root of 6 by fan in and fan out, with
biases of 0."""


@frozen(kw_only=True)
class Input(Operation, op="input"):
    """The image."""

    inputs = (0, 0)
    works_on_maps = False

    shape: Shape

    def output(self, *shapes: Shape) -> Shape:
        """Return the image's shape."""
        return tuple(self.shape)


@frozen(kw_only=True)
class SlidingWindow(Operation):
    """What moves a window over a map."""

    kernel_size: int
    stride: int
    padding: int

    def output(self, *shapes: Shape) -> Shape:
        """Return as many positions as the window has inside the padded map."""
        channels, height, width = shapes[0]
        return channels, self._positions(height), self._positions(width)

    def _positions(self, size: int) -> int:
        if size + 2 * self.padding < self.kernel_size:
            raise UnfitError(
                f"a window of {self.kernel_size} does not fit into {size} with a margin of "
                f"{self.padding}"
            )
        return (size + 2 * self.padding - self.kernel_size) // self.stride + 1

    def unread(self, size: int, padding: int | None = None) -> int:
        """Return how many of the last samples of a row of this size lie in none of the windows."""
        margin = self.padding if padding is None else padding
        windows = (size + 2 * margin - self.kernel_size) // self.stride + 1
        return max(0, size + margin - ((windows - 1) * self.stride + self.kernel_size))


@frozen(kw_only=True)
class Conv2d(Operation, op="conv2d"):
    """A convolution."""

    channels: int
    kernel_size: int
    stride: int
    padding: int
    groups: int
    bias: bool
    initial: str
    frozen: bool
    gain: float = 1.0
    """Of `initial`, where that has one."""
    padding_mode: str = "zeros"
    """What the margin holds: `zeros`, or `reflect`, the map about its outermost samples."""

    later = frozenset({"gain", "padding_mode"})

    @cached_property
    def window(self) -> SlidingWindow:
        """Its window, without the channels."""
        return SlidingWindow(kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)

    def output(self, *shapes: Shape) -> Shape:
        """Return (channels, rows, columns)."""
        _, height, width = self.window.output(shapes[0])
        if self.padding_mode == "reflect" and self.padding >= min(shapes[0][1:]):
            raise UnfitError(
                f"{min(shapes[0][1:])} samples cannot be reflected to a margin of {self.padding}"
            )
        if shapes[0][0] % self.groups or self.channels % self.groups:
            raise UnfitError(
                f"{self.groups} groups do not divide {shapes[0][0]} inputs and "
                f"{self.channels} outputs"
            )
        return self.channels, height, width

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the kernels and, where it has one, the bias."""
        kernels = (self.channels, x[0] // self.groups, self.kernel_size, self.kernel_size)
        return {"weight": kernels} | ({"bias": (self.channels,)} if self.bias else {})

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the kernels' size at every position."""
        return prod(self.weights(shapes[0])["weight"]) * out[1] * out[2]

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        options = self._changed(stride=1, padding=0, groups=1, bias=True, padding_mode="zeros")
        return Call.of("nn.Conv2d", x[0], self.channels, **self._named("kernel_size"), **options)


@frozen(kw_only=True)
class Linear(Operation, op="linear"):
    """A fully connected layer."""

    works_on_maps = False

    features: int
    bias: bool
    initial: str
    gain: float = 1.0
    """Of `initial`, where that has one."""
    frozen: bool = False

    later = frozenset({"gain", "frozen"})

    def output(self, *shapes: Shape) -> Shape:
        """Return (features,)."""
        if len(shapes[0]) != 1:
            raise UnfitError("a linear layer takes vectors: put `flatten` before it")
        return (self.features,)

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the matrix and, where it has one, the bias."""
        return {"weight": (self.features, x[0])} | ({"bias": (self.features,)} if self.bias else {})

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the matrix's size."""
        return self.features * shapes[0][0]

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.Linear", x[0], self.features, **self._changed(bias=True))


@frozen(kw_only=True)
class MaxPool(SlidingWindow, op="max_pool"):
    """The maximum in a window."""

    works_channel_by_channel = True

    kind: ClassVar[str] = "nn.MaxPool2d"

    @property
    def taps(self) -> int | None:
        """The window's side."""
        return self.kernel_size

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return the window's size at every position."""
        return prod(out) * self.kernel_size**2

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        options = self._changed(padding=0)
        return Call.of(self.kind, **self._named("kernel_size", "stride"), **options)


@frozen(kw_only=True)
class AveragePool(MaxPool, op="average_pool"):
    """The mean in a window."""

    kind = "nn.AvgPool2d"


@frozen(kw_only=True)
class AdaptiveAveragePool(Operation, op="adaptive_average_pool"):
    """Means over as many windows as the output has positions."""

    works_channel_by_channel = True

    output_size: int

    def output(self, *shapes: Shape) -> Shape:
        """Return a square map."""
        return shapes[0][0], self.output_size, self.output_size

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return an addition a value of the input."""
        return prod(shapes[0])

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.AdaptiveAvgPool2d", self.output_size)


@frozen(kw_only=True)
class Dropout(Operation, op="dropout"):
    """Values set to zero at random, in training."""

    works_channel_by_channel = True
    works_on_maps = False

    probability: float

    @property
    def is_identity(self) -> bool:
        """Whether it drops nothing."""
        return self.probability == 0.0

    @property
    def regularises(self) -> bool:
        """Whether it drops anything."""
        return not self.is_identity

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication a value."""
        return prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.Dropout", self.probability)


@frozen(kw_only=True)
class Flatten(Operation, op="flatten"):
    """A map as a vector."""

    works_channel_by_channel = True
    works_on_maps = False

    def output(self, *shapes: Shape) -> Shape:
        """Return (values,)."""
        return (prod(shapes[0]),)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.Flatten")


@frozen(kw_only=True)
class Add(Operation, op="add"):
    """The sum of two branches."""

    works_channel_by_channel = True
    inputs = (2, 2)
    works_on_maps = False

    def output(self, *shapes: Shape) -> Shape:
        """Return the terms' shape."""
        if shapes[0] != shapes[1]:
            raise UnfitError("the terms of a sum have one shape")
        return shapes[0]

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return an addition a value."""
        return prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer; model.py writes a sum."""
        return Call.of("Add")


@frozen(kw_only=True)
class Bias(Operation, op="bias"):
    """A bias for each channel, after the modulus where there is no norm."""

    works_channel_by_channel = True
    is_written_around = True

    channels: int
    initial: str = "zeros"
    """`uniform`, between -1 and 1, or `zeros`: what graphs meant that did not say it."""
    frozen: bool
    relu: bool = False
    """Whether positive parts are given."""

    later = frozenset({"relu"})

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the bias."""
        return {"bias": (self.channels,)}

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return an addition a value."""
        return prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(initial="uniform", relu=False)
        return Call.of("ChannelBias", self.channels, **options)
