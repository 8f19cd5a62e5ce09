"""Define what stands between layers: selections, joins, subsampling, the halves of complex channels."""

from __future__ import annotations

from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError


@frozen(kw_only=True)
class Modulus(Operation, op="modulus"):
    """The modulus of complex channels."""

    works_channel_by_channel = True
    takes = "complex"

    def is_complex(self, first: bool) -> bool:
        """Return False."""
        return False

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return two squares, a sum and a root a value."""
        return 4 * prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("Modulus")


@frozen(kw_only=True)
class RealPart(Operation, op="real_part"):
    """The real part of complex channels."""

    takes = "complex"
    moves_values = True

    def is_complex(self, first: bool) -> bool:
        """Return False."""
        return False

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("RealPart")


@frozen(kw_only=True)
class Interleave(Operation, op="interleave"):
    """Real and imaginary parts as channels, in turn."""

    takes = "complex"
    moves_values = True

    def output(self, *shapes: Shape) -> Shape:
        """Return twice the channels."""
        return 2 * shapes[0][0], *shapes[0][1:]

    def is_complex(self, first: bool) -> bool:
        """Return False."""
        return False

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("Interleave")


@frozen(kw_only=True)
class Deinterleave(Operation, op="deinterleave"):
    """Complex channels of channels that are real and imaginary parts in turn."""

    moves_values = True

    def output(self, *shapes: Shape) -> Shape:
        """Return half the channels."""
        return shapes[0][0] // 2, *shapes[0][1:]

    def is_complex(self, first: bool) -> bool:
        """Return True."""
        return True

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("Deinterleave")


@frozen(kw_only=True)
class SliceChannels(Operation, op="slice_channels"):
    """Channels from `start` to before `stop`."""

    takes = "either"
    moves_values = True
    commutes_with_real_part = True

    start: int
    stop: int

    def output(self, *shapes: Shape) -> Shape:
        """Return the chosen channels."""
        return self.stop - self.start, *shapes[0][1:]

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("SliceChannels", self.start, self.stop)


@frozen(kw_only=True)
class Crop(Operation, op="crop"):
    """The middle of the first input, at most as large as the second."""

    takes = "either"
    inputs = (2, 2)
    moves_values = True
    reads_size_of = 1

    def output(self, *shapes: Shape) -> Shape:
        """Return the smaller of both heights and widths."""
        (channels, *size), (_, *other) = shapes
        return channels, *map(min, size, other)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("CenterCrop")


@frozen(kw_only=True)
class Concat(Operation, op="concat"):
    """The channels of all inputs, one after another."""

    inputs = (2, None)
    moves_values = True

    def output(self, *shapes: Shape) -> Shape:
        """Return the sum of the channels."""
        if len({shape[1:] for shape in shapes}) != 1:
            raise UnfitError("concatenated maps have one size")
        return sum(shape[0] for shape in shapes), *shapes[0][1:]

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("Concat")


@frozen(kw_only=True)
class Subsample(Operation, op="subsample"):
    """Every `step`-th sample."""

    works_channel_by_channel = True
    takes = "either"

    step: int

    @property
    def subsampling(self) -> int:
        """The step."""
        return self.step

    @property
    def is_identity(self) -> bool:
        """Whether it keeps all samples."""
        return self.step == 1

    def output(self, *shapes: Shape) -> Shape:
        """Return the kept positions."""
        channels, height, width = shapes[0]
        return channels, -(-height // self.step), -(-width // self.step)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("Subsample", self.step)
