"""Transform images into dual-tree complex wavelet packets, and back."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.filters import conjugation_signs, fixed_filters
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.packets import DualTreePackets
from wavetwin.runtime.layers.parts import Parts, split_parts
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets.extension import extend
from wavetwin.runtime.wavelets.filtering import crop

Border = Literal["full", "periodic", "published"]


class DualTreePackets2d(DualTreePackets):
    """Dual-tree complex wavelet packets of each channel with borders that can be inverted.

    Real `(batch, channels, height, width)` to complex
    `(batch, channels, 2 * 4**levels, out_height, out_width)`: `wavetwin.runtime.DualTreePackets`, its
    packets and their order, at other positions. A tight frame: the packets' energy is
    `8 * (2**levels / stride)**2` times the maps', and so is the inverse's factor.

    Sources: Bayram and Selesnick 2008, doi:10.1109/TSP.2007.916129; arXiv:2212.00394.

    Args:
        levels: stages of the cascade, 1 to 4.
        stride: step of the output, a power of two up to `2**levels`; None: `2**levels`.
        filters: a name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`.
        border: `full`, every packet that sees the map, zeros around it, any size, with
            `(n + length - 2) // stride + 1` packets of n samples; `periodic`, `n // stride` packets of
            sizes that `2**levels` divides; `published`, as the twins have it, which is not invertible.

    Raises:
        ValueError: an argument is out of range, or a size no multiple of `2**levels`.
    """

    def __init__(
        self,
        levels: int = 2,
        stride: int | None = None,
        filters: str = "qshift_a",
        border: Border = "full",
    ) -> None:
        super().__init__(levels, 2**levels if stride is None else stride, filters)
        if border not in ("full", "periodic", "published"):
            raise ValueError(f"border {border!r}: one of full, periodic, published")
        self.border: Border = border
        self.offset = self.padding
        """Samples between the first tap of packet 0 and the map's first sample."""
        if border == "full":
            self.offset = self.padding = self.filters.shape[2] - 1
        elif border == "periodic":
            self.padding = 0

    def inverse(self) -> IDualTreePackets2d:
        """Return the transform back, a module of its own, in this one's type and on its device."""
        inverse = IDualTreePackets2d(self.levels, self.stride, self.filter_name, self.border)
        return inverse.to(self.filters)

    def parts(self, x: Float[Tensor, "batch channels height width"]) -> Parts:
        """Return the real and the imaginary parts of all packets; also in bfloat16."""
        return super().parts(self._extended(x))

    def real(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels packets out_height out_width"]:
        """Return the real parts alone, for half the work along the columns."""
        return super().real(self._extended(x))

    def _extended(self, x: Tensor) -> Tensor:
        if self.border != "periodic":
            return x
        multiple = 2**self.levels
        height, width = x.shape[2:]
        if height % multiple or width % multiple:
            raise ValueError(
                f"{height}x{width} maps are no multiple of {multiple}: use border='full'"
            )
        after = self.filters.shape[2] - self.stride - self.offset
        return extend(
            extend(x, 2, self.offset, after, "periodic"), 3, self.offset, after, "periodic"
        )

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return f"{super().extra_repr()}, border={self.border!r}"


class IDualTreePackets2d(ConstantBuffers):
    """Inverse of `DualTreePackets2d` with the same arguments, exact for every size.

    Packets, complex or a pair of parts, to real `(batch, channels, height, width)`: the adjoint over
    the frame's bound, which of packets that no map has gives the nearest map's.

    Raises:
        ValueError: an argument is out of range, or the border is `published`.
    """

    filters: Tensor
    signs: Tensor

    def __init__(
        self,
        levels: int = 2,
        stride: int | None = None,
        filters: str = "qshift_a",
        border: Border = "full",
    ) -> None:
        super().__init__()
        if border == "published":
            raise ValueError("border 'published' cuts packets off that the inverse needs: use full")
        analysis = DualTreePackets2d(levels, stride, filters, border)
        self.levels = levels
        self.stride = analysis.stride
        self.filter_name = filters
        self.border = border
        self.offset = analysis.offset
        bank = fixed_filters("dtcwpt", filters, levels)
        self.register_constant("filters", bank)
        self.register_constant("signs", conjugation_signs(bank))

    def forward(
        self, packets: Tensor | Parts, size: tuple[int, int] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the maps.

        Args:
            packets: (batch, channels, packets, out_height, out_width), as `DualTreePackets2d` gives
                them.
            size: height and width of the maps; None: the multiples of the stride that have so many.
        """
        real, imaginary = split_parts(packets)
        if size is None:
            height, width = (self._multiple_of_stride(count) for count in real.shape[3:])
        else:
            height, width = size

        def synthesise(real: Tensor, imaginary: Tensor) -> Tensor:
            return self._synthesise(real, imaginary, height, width)

        return keep_layout(real[:, :, 0], rounded_once(synthesise, real, imaginary))

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return f"levels={self.levels}, stride={self.stride}, {self.filter_name}, border={self.border!r}"

    def _multiple_of_stride(self, count: int) -> int:
        if self.border == "periodic":
            return count * self.stride
        most = self.stride * count - self.filters.shape[2] + 1
        return most // self.stride * self.stride

    def _synthesise(self, real: Tensor, imaginary: Tensor, height: int, width: int) -> Tensor:
        batch, channels = real.shape[:2]
        imaginary = imaginary * self.signs.to(imaginary.dtype)[:, None, None]
        (real_a, real_b), (imaginary_a, imaginary_b) = (
            self._by_path(part).unbind(1) for part in (real, imaginary)
        )
        aa, bb = real_b + real_a, real_b - real_a
        ba, ab = imaginary_a + imaginary_b, imaginary_a - imaginary_b
        # (images, horizontal tree, horizontal path, vertical tree, vertical path, H', W')
        trees = torch.stack((torch.stack((aa, ba), 2), torch.stack((ab, bb), 2)), 1)
        columns = trees.flatten(0, 2).flatten(1, 2)
        filters = self.filters.flatten(0, 1)
        top, columns = self._wrapped(columns, 2)
        columns = F.conv_transpose2d(columns, filters[:, None, :, None], stride=(self.stride, 1))
        rows = columns.reshape(-1, filters.shape[0], *columns.shape[2:])
        left, rows = self._wrapped(rows, 3)
        maps = F.conv_transpose2d(rows, filters[:, None, None, :], stride=(1, self.stride))
        factor = 8 * (2**self.levels // self.stride) ** 2
        maps = crop(maps, height, width, top, left) / factor
        return maps.reshape(batch, channels, height, width)

    def _by_path(self, packets: Tensor) -> Tensor:
        """Return (images, halves, horizontal paths, vertical paths, H', W'); undoes `_order`."""
        levels = self.levels
        digits = packets.flatten(0, 1).unflatten(1, (2, *(2,) * (2 * levels)))
        vertical, horizontal = ([2 + 2 * i + k for i in range(levels)] for k in (0, 1))
        last = 2 + 2 * levels
        digits = digits.permute(0, 1, *horizontal, *vertical, last, last + 1)
        return digits.flatten(2 + levels, 1 + 2 * levels).flatten(2, 1 + levels)

    def _wrapped(self, x: Tensor, dim: int) -> tuple[int, Tensor]:
        """Return where the map begins in what these packets synthesise, and them, wrapped around."""
        if self.border != "periodic":
            return self.offset, x
        before = -(-(self.filters.shape[2] - 1 - self.offset) // self.stride)
        after = -(-self.offset // self.stride)
        return self.offset + before * self.stride, extend(x, dim, before, after, "periodic")
