"""Define the pooling by a wavelet bank."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError
from wavetwin.ir.wavelets import equivalent_length, filter_length

__all__ = ["BAND_MAPS", "WaveletPool"]

BAND_MAPS: dict[str, int] = {"ll": 1, "all": 4, "mix": 1, "modulus": 4, "energy": 2}
"""What a pooling keeps, and how many maps of each channel that is."""

_MODULI: dict[str, int] = {"modulus": 3, "energy": 1}
"""Of each channel, how many roots of squares are taken."""


@frozen(kw_only=True)
class WaveletPool(Operation, op="wavelet_pool"):
    """Bands of the last of some levels of a wavelet bank, each channel filtered alone."""

    replaces_maximum = True
    settings = "pooling.wavelet_pool"

    wavelet: str
    """A discrete wavelet's name in PyWavelets."""
    bands: str = "ll"
    """`ll`, `all`, `mix`, `modulus` or `energy`."""
    levels: int = 1
    normalise: str = "dc"
    """`dc`, `orthonormal` or `unit_variance`."""
    mode: str = "periodization"
    size: str = "half"
    """`half`, ceil(n / 2) a level, or `full`, PyWavelets' own."""
    learn: str | None = None
    """`lattice`: the wavelet's angles are trained; None: its taps are fixed."""
    mixing: str = "full"
    """Of `mix`: `full`, of all channels' bands, or `depthwise`, of each channel's own."""
    smoothing: float = 0.01
    """How smooth the roots of `modulus` and `energy` are."""

    @property
    def subsampling(self) -> int:
        """Half of the positions a level."""
        return 2**self.levels

    @property
    def taps(self) -> int | None:
        """The length of the filter that all levels amount to."""
        return equivalent_length("wpt", self.levels, self.wavelet)

    @property
    def constant_gain(self) -> float:
        """What the approximation of a constant is multiplied by: 2 a level, or 1 for `dc`.

        Of `unit_variance` it is what the low-pass of an orthogonal wavelet has. A mix begins as a mean.
        """
        return 1.0 if self.normalise == "dc" or self.bands == "mix" else 2.0**self.levels

    @property
    def num_angles(self) -> int:
        """The angles that are trained."""
        return 0 if self.learn is None else self._length // 2 - 1

    @property
    def _length(self) -> int:
        return filter_length("wpt", self.wavelet)

    @property
    def _filters(self) -> int:
        return 1 if self.bands == "ll" else 2

    def output(self, *shapes: Shape) -> Shape:
        """Return the maps of the last level."""
        channels, *_ = shapes[0]
        *_, (rows, columns) = self._sizes(shapes[0])
        return channels * BAND_MAPS[self.bands], rows, columns

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the angles and the mix, where there are any."""
        found: dict[str, Shape] = {}
        if self.learn is not None:
            found["angles"] = (self.num_angles,)
        if self.bands == "mix":
            found["weight"] = (x[0], 4 * (x[0] if self.mixing == "full" else 1), 1, 1)
        return found

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the filters, or the angles that they begin with, and the gains."""
        scales = {"scales": (self._filters, 1)}
        if self.learn is not None:
            return scales | {"start": (self.num_angles,)}
        return scales | {"filters": (self._filters, self._length)}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return the filters', along the rows, then along the columns, and the mix's."""
        channels, *_ = shapes[0]
        sizes = list(self._sizes(shapes[0]))
        total = 0
        for level, ((height, _), (rows, columns)) in enumerate(pairwise(sizes), 1):
            filters = self._filters if level == self.levels else 1
            total += (height * filters + rows * filters**2) * columns * self._length * channels
        weight = self.weights(shapes[0]).get("weight", (0,))
        return total + prod(weight) * out[1] * out[2]

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return squares of the details, their sums, and a root each."""
        roots = _MODULI.get(self.bands, 0)
        if not roots:
            return 0
        return shapes[0][0] * out[1] * out[2] * (3 + 3 * roots)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(
            bands="ll", levels=1, normalise="dc", mode="periodization", size="half", learn=None
        )
        if self.bands == "mix":
            options["channels"] = x[0]
            if self.mixing != "full":
                options["groups"] = x[0]
        if self.bands in _MODULI and self.smoothing != 0.01:
            options["bias"] = self.smoothing
        return Call.of("WaveletPool2d", self.wavelet, **options)

    def _sizes(self, x: Shape) -> Iterator[tuple[int, int]]:
        """Yield height and width, of the input and after each level."""
        _, *size = x
        yield size[0], size[1]
        for _ in range(self.levels):
            size = [self._halved(n) for n in size]
            yield size[0], size[1]

    def _halved(self, n: int) -> int:
        if n == 1 and self.mode in ("reflect", "antireflect"):
            raise UnfitError(f"a map of one sample has no extension in mode {self.mode}")
        if self.size == "half" or self.mode == "periodization":
            return -(-n // 2)
        return (n + self._length - 1) // 2
