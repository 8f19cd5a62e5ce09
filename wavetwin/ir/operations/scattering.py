"""Define scattering and invariant layers: smoothed moduli of the dual tree, as they are or mixed."""

from __future__ import annotations

from math import comb, prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.level1_taps import level1_taps
from wavetwin.ir.mixings import MIXINGS, Mixing
from wavetwin.ir.operations.operation import Call, Operation, Shape

NUM_ANGLES = 6
"""Moduli of a level."""
NUM_BANDS = NUM_ANGLES + 1
"""With the smoothed map."""

_MODULUS_OPERATIONS = 4
"""Two squares, a sum and a root."""
_BILINEAR_OPERATIONS = 4
"""Of each value that is up-sampled."""


def _halved(size: int, levels: int = 1) -> int:
    for _ in range(levels):
        size = (size + 1) // 2
    return size


@frozen(kw_only=True)
class Level1Filters(Operation):
    """What filters by the dual tree's first level."""

    filters_are_fixed = True

    level1: str = "near_sym_a"
    """A name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`."""
    mode: str = "symmetric"
    """A name of `wavetwin.ir.wavelets.BOUNDARY_MODES`."""
    smoothing: float = 1e-2
    """Of the modulus: sqrt(|z|^2 + smoothing^2) - smoothing."""

    @property
    def taps(self) -> int | None:
        """The longer filter's length."""
        return max(self._lengths)

    @property
    def _lengths(self) -> tuple[int, int]:
        taps = level1_taps(self.level1)
        return len(taps.analysis_low), len(taps.analysis_high)

    @property
    def _macs_a_pixel(self) -> int:
        """Rows by both filters, columns of both results by both: 36 for near_sym_a."""
        return 3 * sum(self._lengths)

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the filters, at one length."""
        return {"filters": (2, max(self._lengths))}


@frozen(kw_only=True)
class Scattering(Level1Filters, op="scattering"):
    """Moduli of dual-tree wavelets, smoothed; nothing to learn."""

    levels: int = 1
    order: int = 1
    """How many moduli a path may have."""

    @property
    def subsampling(self) -> int:
        """Two a level."""
        return 2**self.levels

    def _paths(self, level: int, order: int) -> int:
        """Return the number of paths after a level with at most `order` moduli."""
        return sum(comb(level, k) * NUM_ANGLES**k for k in range(order + 1))

    def output(self, *shapes: Shape) -> Shape:
        """Return all paths of all channels, path by path, sizes rounded up level by level."""
        channels, height, width = shapes[0]
        maps = channels * self._paths(self.levels, self.order)
        return maps, _halved(height, self.levels), _halved(width, self.levels)

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return those of the undecimated filters, level by level.

        Paths that have all their moduli are only smoothed: rows and columns by the low-pass.
        """
        channels, height, width = shapes[0]
        total = 0
        for level in range(self.levels):
            pixels = 4 * _halved(height, level + 1) * _halved(width, level + 1)
            opened = self._paths(level, self.order - 1)
            smoothed = self._paths(level, self.order) - opened
            per_pixel = opened * self._macs_a_pixel + smoothed * 2 * self._lengths[0]
            total += channels * pixels * per_pixel
        return total

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return the 2x2 means of every path, and the moduli."""
        channels, height, width = shapes[0]
        total = 0
        for level in range(self.levels):
            kept = channels * _halved(height, level + 1) * _halved(width, level + 1)
            opened = self._paths(level, self.order - 1)
            total += 4 * kept * self._paths(level, self.order)
            total += _MODULUS_OPERATIONS * kept * NUM_ANGLES * opened
        return total

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(level1="near_sym_a", mode="symmetric")
        if self.smoothing != 1e-2:
            options["bias"] = self.smoothing
        return Call.of("Scattering2d", self.levels, self.order, **options)


@frozen(kw_only=True)
class Invariant(Level1Filters, op="invariant"):
    """Smoothed moduli of the dual tree, mixed by learned weights."""

    channels: int
    mixing: str = "pointwise"
    """A name of `wavetwin.ir.mixings.MIXINGS`."""
    stride: int = 2
    """2, or 1 for a bilinear up-sampling after the mixing."""
    bias: bool = True
    gain: float | None = None
    """Of the initial weights; None: the mixing's own."""

    @property
    def _row(self) -> Mixing:
        return MIXINGS[self.mixing]

    def output(self, *shapes: Shape) -> Shape:
        """Return half of each size, rounded up, or the size of the input."""
        _, *size = shapes[0]
        return self.channels, *(_halved(n) if self.stride == 2 else n for n in size)

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the learned weights and, where it has one, the bias."""
        weight = self._row.weight_shape(NUM_BANDS * x[0], self.channels)
        return {"weight": weight} | ({"bias": (self.channels,)} if self.bias else {})

    def statistics(self, x: Shape) -> dict[str, Shape]:
        """Return the fixed kernels, where they are drawn."""
        return self._kernels(x) if self._row.fixed == "drawn" else {}

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the filters, and the fixed kernels where they are given."""
        shared = self._kernels(x) if self._row.fixed == "shared" else {}
        return super().constants(x) | shared

    def _kernels(self, x: Shape) -> dict[str, Shape]:
        shape = self._row.kernel_shape(NUM_BANDS * x[0], self.channels)
        return {} if shape is None else {"kernels": shape}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the filters at every pixel, and the mixing at every kept position."""
        channels, height, width = shapes[0]
        pixels = 4 * _halved(height) * _halved(width)
        return pixels * channels * self._macs_a_pixel + self.mixing_macs(shapes[0])

    def mixing_macs(self, x: Shape) -> int:
        """Return those of the mixing alone, of an input of this shape."""
        channels, height, width = x
        kernels = NUM_BANDS * channels * self.channels * self._row.kernel_size**2
        return _halved(height) * _halved(width) * kernels

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return the 2x2 means, the moduli and the up-sampling."""
        channels, height, width = shapes[0]
        maps = channels * _halved(height) * _halved(width)
        moduli = (4 + _MODULUS_OPERATIONS * NUM_ANGLES) * maps
        return moduli + (_BILINEAR_OPERATIONS * prod(out) if self.stride == 1 else 0)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(
            mixing="pointwise",
            stride=2,
            bias=True,
            gain=None,
            smoothing=1e-2,
            level1="near_sym_a",
            mode="symmetric",
        )
        return Call.of("Invariant", x[0], self.channels, **options)
