"""Define the wavelet channels' operations: colour mixing, packets, selection and mixing."""

from __future__ import annotations

from dataclasses import field
from math import prod
from typing import Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError
from wavetwin.ir.packets import num_packets, packet_paths
from wavetwin.ir.wavelets import equivalent_length, filter_length, output_size

MixingGroup = tuple[int, int, int]
"""Packets, channels and groups of one part of the mixing."""


def _mixing_size(bands: tuple[MixingGroup, ...]) -> int:
    """Return the number of mixing weights."""
    return sum(outputs * (inputs // groups) for inputs, outputs, groups in bands)


@frozen(kw_only=True)
class ColourMixing(Operation, op="colour_mixing"):
    """One luminance image of the colours, before the packets."""

    initial: tuple[float, ...]
    frozen: bool

    def output(self, *shapes: Shape) -> Shape:
        """Return one channel."""
        return 1, *shapes[0][1:]

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return a weight a colour."""
        return {"weight": (1, x[0], 1, 1)}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication a value of the image."""
        return prod(shapes[0])

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("ColourMixing", **self._named("initial"))


@frozen(kw_only=True)
class Packets(Operation, op="packets"):
    """All wavelet packets of an image, complex for the dual tree."""

    filters_are_fixed = True
    _not_attributes = frozenset({"imaginary"})

    transform: str
    levels: int
    stride: int
    filters: str
    padding_mode: str
    trainable_filters: bool
    frozen: bool
    imaginary: bool = field(default=True, compare=False)
    """No attribute: the graph's readers decide whether the imaginary part is read."""

    def __post_init__(self) -> None:
        """Refuse what no layer computes.

        Raises:
            ValueError: another transform, or another margin than zeros.
        """
        if self.transform not in ("dtcwpt", "wpt"):
            raise ValueError(f"transform {self.transform!r}: one of dtcwpt, wpt")
        if self.padding_mode != "zeros":
            raise ValueError(f"padding_mode {self.padding_mode!r}: only zeros")

    @property
    def is_dual_tree(self) -> bool:
        """Whether packets are complex."""
        return self.transform == "dtcwpt"

    @property
    def taps(self) -> int | None:
        """The length of the filter that a whole path of stages amounts to."""
        return equivalent_length(self.transform, self.levels, self.filters)

    @property
    def num_packets(self) -> int:
        """Packets of one channel."""
        return num_packets(self.transform, self.levels)

    @property
    def _trees(self) -> int:
        return 2 if self.is_dual_tree else 1

    def output(self, *shapes: Shape) -> Shape:
        """Return all packets of all channels, at every `stride`-th sample."""
        channels, height, width = shapes[0]
        bank = (self.transform, self.levels, self.filters, self.stride)
        rows, columns = output_size(height, *bank), output_size(width, *bank)
        if min(rows, columns) < 1:
            raise UnfitError(
                f"filters of {self.taps} taps leave nothing of an image of {height} x {width}"
            )
        return channels * self.num_packets, rows, columns

    def is_complex(self, first: bool) -> bool:
        """Return whether the transform is the dual tree."""
        return self.is_dual_tree

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the filters of a stage, where they are trained."""
        if not self.trainable_filters:
            return {}
        stage = (self._trees, filter_length(self.transform, self.filters))
        return {"low": stage, "high": stage}

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the signs of the dual-tree packets and the filters, where they are fixed."""
        signs = {"signs": (self.num_packets,)} if self.is_dual_tree else {}
        if self.trainable_filters:
            return signs
        return signs | {"filters": (self._trees, 2**self.levels, self.taps or 0)}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return those of the equivalent separable filters: rows, then columns."""
        channels, height, _ = shapes[0]
        paths = self._trees * 2**self.levels
        along_rows = height * out[2] * paths
        along_columns = out[1] * out[2] * paths**2
        return channels * (self.taps or 0) * (along_rows + along_columns)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer of the transform."""
        options = self._named("levels", "stride", "filters")
        if self.trainable_filters:
            options["trainable"] = True
        if not self.is_dual_tree:
            return Call.of("SeparablePackets", **options)
        if not self.imaginary:
            options["imaginary"] = False
        return Call.of("DualTreePacketMaps", **options)


@frozen(kw_only=True)
class KeepPackets(Operation, op="keep_packets"):
    """The kept packets, in order."""

    takes = "either"
    commutes_with_real_part = True

    packets: tuple[int, ...]
    colours: int

    def output(self, *shapes: Shape) -> Shape:
        """Return the kept packets of each colour."""
        return len(self.packets) * self.colours, *shapes[0][1:]

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("KeepPackets", self.packets, **self._changed(colours=1))


@frozen(kw_only=True)
class PacketMixing(Operation, op="packet_mixing"):
    """Channels as weighted sums of kept packets, in groups."""

    takes = "either"
    commutes_with_real_part = True
    _not_attributes = frozenset({"lambdas"})

    bands: tuple[MixingGroup, ...]
    bias: bool
    colours: int
    frozen: bool
    lambdas: tuple[float, ...] | None = field(default=None, compare=False)
    """No attribute: the plan's regularisation, which the layer's copy in model.py holds."""

    def output(self, *shapes: Shape) -> Shape:
        """Return the channels of each colour."""
        channels = sum(outputs for _, outputs, _ in self.bands)
        return channels * self.colours, *shapes[0][1:]

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return a pointwise convolution's for each part of the mixing."""
        found: dict[str, Shape] = {}
        for number, (inputs, outputs, groups) in enumerate(self.bands):
            found[f"{number}.weight"] = (outputs, inputs // groups, 1, 1)
            if self.bias:
                found[f"{number}.bias"] = (outputs,)
        return found

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the weights at every position."""
        return _mixing_size(self.bands) * out[1] * out[2] * self.colours

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(bias=False, colours=1, lambdas=None)
        return Call.of("PacketMixing", **self._named("bands"), **options)


@frozen(kw_only=True)
class ColourMixingAfter(Operation, op="colour_mixing_after"):
    """One channel of three colours' channels, after the packets."""

    takes = "either"
    commutes_with_real_part = True

    frozen: bool

    def output(self, *shapes: Shape) -> Shape:
        """Return a third of the channels."""
        return shapes[0][0] // 3, *shapes[0][1:]

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return three weights a channel."""
        return {"weight": (x[0] // 3, 3, 1, 1)}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication a value of the input."""
        return prod(shapes[0])

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("ColourMixingAfter", out[0])


@frozen(kw_only=True)
class PacketBank(Operation, op="packet_bank"):
    """Colour mixing, packets, selection and mixing in one: made by a pass.

    A second input gives height and width.
    """

    inputs = (1, 2)
    filters_are_fixed = True
    reads_size_of = 1
    later = frozenset({"modulus"})
    _not_attributes = frozenset({"initial", "lambdas"})

    levels: int
    stride: int
    filters: str
    packets: tuple[int, ...]
    bands: tuple[MixingGroup, ...]
    bias: bool
    colours: int
    colour: Literal["before", "after", "none"]
    complex: bool
    subsample: int
    modulus: bool = False
    """Whether the modulus is given, not the complex numbers."""
    initial: tuple[float, ...] | None = field(default=None, compare=False)
    """No attribute: the colour mixing's, which is a part of the node."""
    lambdas: tuple[float, ...] | None = field(default=None, compare=False)
    """No attribute: the plan's, as of the mixing."""

    @property
    def _taps(self) -> int:
        return equivalent_length("dtcwpt", self.levels, self.filters)

    @property
    def _outputs(self) -> int:
        return sum(outputs for _, outputs, _ in self.bands)

    def output(self, *shapes: Shape) -> Shape:
        """Return the channels at the kept positions."""
        image, *like = shapes
        height, width = like[0][1:] if like else _grid(self, image)
        channels = self._outputs * (1 if self.colour == "after" else self.colours)
        return channels, -(-height // self.subsample), -(-width // self.subsample)

    def is_complex(self, first: bool) -> bool:
        """Return whether imaginary parts are given."""
        return self.complex and not self.modulus

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return filters and signs."""
        filters = (2, 2**self.levels, self._taps)
        return {"filters": filters, "signs": (num_packets("dtcwpt", self.levels),)}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return rows with the filters in use, columns at the kept positions, and the mixing."""
        image, (_, height, width) = shapes[0], out
        paths = {packet_paths(self.levels, number) for number in self.packets}
        parts = 2 if self.complex else 1
        # Both trees along the rows; of the four pairs of trees, the real part needs two.
        rows = image[1] * width * 2 * len({across for _, across in paths}) * self._taps
        columns = height * width * 2 * parts * len(paths) * self._taps
        mixing = _mixing_size(self.bands) * parts * height * width
        before = prod(image) if self.colour == "before" else 0
        after = self.colours * self._outputs * parts * height * width
        return (
            before
            + self.colours * (rows + columns + mixing)
            + (after if self.colour == "after" else 0)
        )

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return two squares, a sum and a root a value of the modulus."""
        return 4 * prod(out) if self.modulus else 0

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._named("bands", "levels", "stride", "filters")
        if self.initial is not None:
            options["colour"] = self.initial
        options |= self._changed(colours=1)
        if self.colour == "after":
            options["mixes_after"] = True
        options |= self._changed(bias=False, subsample=1)
        if not self.complex:
            options["imaginary"] = False
        options |= self._changed(modulus=False, lambdas=None)
        return Call.of("MixedPackets", self.packets, **options)


@frozen(kw_only=True)
class CropToPackets(Operation, op="crop_to_packets"):
    """The middle of a map, as large as the packets of the second input: made by a pass."""

    inputs = (2, 2)
    reads_size_of = 1

    levels: int
    stride: int
    filters: str

    def output(self, *shapes: Shape) -> Shape:
        """Return the smaller of both heights and widths."""
        (channels, height, width), image = shapes
        rows, columns = _grid(self, image)
        return channels, min(height, rows), min(width, columns)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("CropToPackets", **self._named("levels", "stride", "filters"))


def _grid(bank: PacketBank | CropToPackets, image: Shape) -> tuple[int, int]:
    """Return height and width of all the dual-tree packets of an image."""
    settings = ("dtcwpt", bank.levels, bank.filters, bank.stride)
    return output_size(image[1], *settings), output_size(image[2], *settings)
