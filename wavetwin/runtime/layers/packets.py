"""Transform images into packets: dual-tree complex wavelet packets and separable real ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.bank.filters import (
    bank_padding,
    check_bank,
    conjugation_signs,
    equivalent_filters,
    fixed_filters,
    qshift_taps,
    wavelet_taps,
)
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.mixed import is_for_kernel
from wavetwin.runtime.bank.native.operator import native_packets
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Complex, Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.parts import Maps, Parts, join_parts, map_parts


class _PacketBank(ConstantBuffers):
    """What both transforms share: the filters, fixed (a buffer) or made from trainable taps."""

    transform: str
    filters: Tensor
    low: nn.Parameter
    high: nn.Parameter

    def __init__(
        self, transform: str, levels: int, stride: int, filters: str, trainable: bool
    ) -> None:
        super().__init__()
        check_bank(levels, stride)
        self.transform = transform
        self.levels = levels
        self.stride = stride
        self.filter_name = filters
        self.trainable = trainable
        taps = self._taps()
        num_trees, num_taps = taps[0].shape
        self.padding = bank_padding(num_taps, levels, stride, num_trees)
        if trainable:
            device, dtype = torch.get_default_device(), torch.get_default_dtype()
            for name, value in zip(("low", "high"), taps, strict=True):
                start = value.to(device=device, dtype=dtype, copy=True)
                self.register_parameter(name, nn.Parameter(start))
        else:
            self.register_constant("filters", fixed_filters(transform, filters, levels))

    def _taps(self) -> tuple[Tensor, Tensor]:
        return (qshift_taps if self.transform == "dtcwpt" else wavelet_taps)(self.filter_name)

    def reset_parameters(self) -> None:
        """Set trainable taps to the named filters."""
        if self.trainable:
            with torch.no_grad():
                for parameter, value in zip((self.low, self.high), self._taps(), strict=True):
                    parameter.copy_(value)

    def equivalent_filters(self) -> Float[Tensor, "trees paths length"]:
        """Return the filters in use, in the module's type; made from the taps if these are trained."""
        if not self.trainable:
            return self.filters
        with torch.autocast(self.low.device.type, enabled=False):
            return equivalent_filters(self.low, self.high, self.levels)

    def _filter_rows(self, x: Tensor, filters: Tensor) -> Tensor:
        """Filter along the rows: (batch, C, H, W) to (batch * C, trees, paths, H, W')."""
        batch, channels, height, width = x.shape
        rows = F.conv2d(
            x.reshape(batch * channels, 1, height, width),
            filters.flatten(0, 1)[:, None, None, :],
            stride=(1, self.stride),
            padding=(0, self.padding),
        )
        return rows.unflatten(1, filters.shape[:2])

    def _filter_columns(self, x: Tensor, filters: Tensor) -> Tensor:
        """Filter (images, maps, H, W') along the columns: (images, maps, filters, H', W')."""
        images, maps, height, width = x.shape
        columns = F.conv2d(
            x.reshape(images * maps, 1, height, width),
            filters[:, None, :, None],
            stride=(self.stride, 1),
            padding=(self.padding, 0),
        )
        return columns.unflatten(0, (images, maps))

    def _order(self, x: Tensor, outer: int) -> Tensor:
        """Give (images, *outer, horizontal paths, vertical paths, H', W') packets' order.

        The result is (images, *outer, packets, H', W').
        """
        bits = (2,) * self.levels
        x = x.unflatten(outer + 2, bits).unflatten(outer + 1, bits)
        first = outer + 1
        order = [axis for i in range(self.levels) for axis in (first + self.levels + i, first + i)]
        last = first + 2 * self.levels
        x = x.permute(*range(first), *order, last, last + 1)
        return x.flatten(first, last - 1)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        trainable = ", trainable=True" if self.trainable else ""
        return f"levels={self.levels}, stride={self.stride}, {self.filter_name}{trainable}"


class DualTreePackets(ByKernel, _PacketBank):
    """Dual-tree complex wavelet packets, every packet kept, zero padded as in the published twins.

    Real `(batch, channels, height, width)` to complex
    `(batch, channels, 2 * 4**levels, out_height, out_width)`, for any size, odd ones too:
    `out_height = (height + 2 * padding - length) // stride + 1`. Packets are in the order of
    arXiv:2212.00394: two halves, base-4 digits from the first stage down, each
    2 * (vertical is high) + (horizontal is high). Every packet keeps positive horizontal frequencies:
    where the named filters' packet has negative ones, its conjugate is taken (training the taps does
    not change which).

    Source: Bayram and Selesnick 2008, doi:10.1109/TSP.2007.916129; the filters' arrangement is that of
    the published twins.

    Args:
        levels: stages of the cascade, 1 to 4.
        stride: step of the output in both directions, a power of two up to `2**levels`.
        filters: a name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`.
        trainable: whether `low` and `high`, (2, n) taps of the primal and the dual tree, are parameters.

    Fixed filters are computed on CPUs by the native kernel where `native` is set (`use_native_kernel`).

    Raises:
        ValueError: an argument is out of range.
    """

    signs: Tensor

    def __init__(
        self, levels: int, stride: int, filters: str = "qshift_a", trainable: bool = False
    ) -> None:
        super().__init__("dtcwpt", levels, stride, filters, trainable)
        self.register_constant("signs", conjugation_signs(fixed_filters("dtcwpt", filters, levels)))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Complex[Tensor, "batch channels packets out_height out_width"]:
        """Return all packets of every channel as a complex tensor."""
        real, imaginary = self.parts(x)
        return join_parts(real, imaginary)

    def parts(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> tuple[
        Float[Tensor, "batch channels packets out_height out_width"],
        Float[Tensor, "batch channels packets out_height out_width"],
    ]:
        """Return the real and the imaginary parts of all packets; also in bfloat16."""
        return rounded_once(self._parts, x)

    def _parts(self, x: Tensor) -> Parts:
        if self._is_by_kernel(x):
            real, imaginary = self._by_kernel(x, is_complex=True)
            return real, imaginary
        filters = self.equivalent_filters()
        rows = self._filter_rows(x, filters)
        columns = self._filter_columns(rows.flatten(1, 2), filters.flatten(0, 1))
        # (images, horizontal tree, horizontal path, vertical tree, vertical path, H', W')
        columns = columns.unflatten(2, filters.shape[:2]).unflatten(1, filters.shape[:2])
        (aa, ba), (ab, bb) = (tree.unbind(2) for tree in columns.unbind(1))
        real = self._half_pair(aa - bb, aa + bb, x.shape[:2])
        imaginary = self._half_pair(ba + ab, ba - ab, x.shape[:2])
        return real, imaginary * self.signs.to(imaginary.dtype)[:, None, None]

    def real(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels packets out_height out_width"]:
        """Return the real parts alone, for half the work along the columns."""
        return rounded_once(self._real, x)

    def _real(self, x: Tensor) -> Tensor:
        if self._is_by_kernel(x):
            (real,) = self._by_kernel(x, is_complex=False)
            return real
        filters = self.equivalent_filters()
        rows = self._filter_rows(x, filters)
        aa, bb = (self._filter_columns(rows[:, tree], filters[tree]) for tree in (0, 1))
        return self._half_pair(aa - bb, aa + bb, x.shape[:2])

    def _is_by_kernel(self, x: Tensor) -> bool:
        return (
            self.native
            and not self.trainable
            and x.dtype == self.filters.dtype
            and x.dtype in (torch.float32, torch.float64)
            and min(x.shape[2:]) + 2 * self.padding >= self.filters.shape[-1]
            and is_for_kernel(x)
        )

    def _by_kernel(self, x: Tensor, is_complex: bool) -> Sequence[Tensor]:
        """Return the parts as `native_packets` gives them, each packet a map of its own."""
        count, length = 2 * 4**self.levels, self.filters.shape[-1]
        height, width = (
            (size + 2 * self.padding - length) // self.stride + 1 for size in x.shape[2:]
        )
        info = BankInfo(
            self.levels, self.filter_name, tuple(range(count)), ((count, count, count),), self.stride,
            -self.padding, height, width, is_complex,
        )  # fmt: skip
        images = x.flatten(0, 1).unsqueeze(1)
        found = native_packets(images, x.new_ones(count), None, None, info, False, 0)
        return [part.unflatten(0, tuple(x.shape[:2])) for part in found]

    def _half_pair(self, first: Tensor, second: Tensor, leading: torch.Size) -> Tensor:
        """Order the packets of both halves and join them; `leading` is (batch, channels)."""
        packets = self._order(torch.stack((first, second), dim=1), outer=1).flatten(1, 2)
        return packets.unflatten(0, tuple(leading))


class DualTreePacketMaps(DualTreePackets):
    """`DualTreePackets` for networks: packets among the channels, real and imaginary part apart.

    Real `(batch, channels, height, width)` to a pair of real
    `(batch, channels * 2 * 4**levels, out_height, out_width)`, channel by channel. Set
    `imaginary` to False to get the real parts alone, one tensor.
    """

    def __init__(
        self,
        levels: int,
        stride: int,
        filters: str = "qshift_a",
        trainable: bool = False,
        imaginary: bool = True,
    ) -> None:
        super().__init__(levels, stride, filters, trainable)
        self.imaginary = imaginary

    def forward(self, x: Tensor) -> Tensor | Parts:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the packets as maps: a pair, or the real parts where `imaginary` is False."""
        if not self.imaginary:
            return self.real(x).flatten(1, 2)
        real, imaginary = self.parts(x)
        return real.flatten(1, 2), imaginary.flatten(1, 2)


class SeparablePackets(_PacketBank):
    """Separable real wavelet packets, every packet kept, zero padded as the dual-tree ones.

    Real `(batch, channels, height, width)` to real
    `(batch, channels * 4**levels, out_height, out_width)`, channel by channel, packets in the order
    of `DualTreePackets`' first half. The taps are correlated with the image, as everywhere here:
    PyWavelets, which convolves, gives the same for the image turned by 180 degrees.

    Args:
        levels: stages of the cascade, 1 to 4.
        stride: step of the output in both directions, a power of two up to `2**levels`.
        filters: the name of a discrete wavelet of PyWavelets, whose decomposition filters are used.
        trainable: whether `low` and `high`, (1, n) taps, are parameters.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, levels: int, stride: int, filters: str, trainable: bool = False) -> None:
        super().__init__("wpt", levels, stride, filters, trainable)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch maps out_height out_width"]:
        """Return all packets of every channel."""
        return rounded_once(self._packets, x)

    def _packets(self, x: Tensor) -> Tensor:
        filters = self.equivalent_filters()
        rows = self._filter_rows(x, filters)[:, 0]
        packets = self._order(self._filter_columns(rows, filters[0]), outer=0)
        return packets.unflatten(0, tuple(x.shape[:2])).flatten(1, 2)


class KeepPackets(ConstantBuffers):
    """Selects and orders the packets of each colour.

    `(batch, colours * packets, height, width)` to `(batch, colours * kept, height, width)`; real,
    complex or a pair.

    Args:
        packets: numbers of the kept packets, in order.
        colours: channels that were transformed.
    """

    indices: Tensor

    def __init__(self, packets: Iterable[int], colours: int = 1) -> None:
        super().__init__()
        self.colours = colours
        self.register_constant("indices", torch.tensor(tuple(packets), device="cpu"))

    def forward(self, x: Maps) -> Maps:
        """Return the kept packets, colour by colour."""
        return map_parts(self._select, x)

    def _select(self, x: Tensor) -> Tensor:
        by_colour = x.unflatten(1, (self.colours, x.shape[1] // self.colours))
        return by_colour.index_select(2, self.indices).flatten(1, 2)

    def extra_repr(self) -> str:
        """Return the number of kept packets and of colours."""
        return f"{self.indices.numel()} packets, colours={self.colours}"
