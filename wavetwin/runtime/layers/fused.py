"""Compute several nodes of a twin's first layer as one, at the kept positions only.

What a pass of the compiler writes in the place of colour mixing, packets, selection, mixing, crop and
subsampling; the parameters keep the names that they have apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wavetwin.runtime.bank import BankInfo, mixed_packets
from wavetwin.runtime.bank.eager import plain_shape
from wavetwin.runtime.bank.filters import bank_padding, qshift_taps
from wavetwin.runtime.bank.modulus import modulus as modulus_of
from wavetwin.runtime.bank.native import has_native_kernel
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.mixing import ColourMixing, ColourMixingAfter, PacketMixing
from wavetwin.runtime.layers.packets import DualTreePacketMaps, KeepPackets
from wavetwin.runtime.layers.parts import Parts
from wavetwin.runtime.layers.plain import is_every_call_watched, is_plain, is_plain_conv
from wavetwin.runtime.layers.pooling import Subsample
from wavetwin.runtime.layers.stem import CenterCrop, center_crop_window, crop_about_centre
from wavetwin.runtime.layers.traced import Layer


@dataclass(frozen=True)
class _PacketGrid:
    """Where the samples of dual-tree packets lie along one direction of the image."""

    length: int
    stride: int
    padding: int

    @staticmethod
    def of(levels: int, stride: int, filters: str) -> _PacketGrid:
        num_taps = qshift_taps(filters)[0].shape[1]
        length = num_taps + 2 + (num_taps - 1) * (2**levels - 2)
        return _PacketGrid(length, stride, bank_padding(num_taps, levels, stride, 2))

    def size(self, image_size: int) -> int:
        """Return the number of samples of an image of this height or width."""
        return (image_size + 2 * self.padding - self.length) // self.stride + 1

    def start(self, image_size: int, like_size: int) -> int:
        """Return where in the image the first tap of the first sample of a central window lies."""
        return self.stride * center_crop_window(self.size(image_size), like_size) - self.padding


class CropToPackets(Layer):
    """Crops maps beside an image's packets to the packets' height and width, where these are smaller.

    About the centre, as `CenterCrop` does with the packets themselves; these need not be computed.

    Args:
        levels: stages of the packets' cascade.
        stride: step of the packets in the image.
        filters: a name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, levels: int, stride: int, filters: str = "qshift_a") -> None:
        super().__init__()
        self.grid = _PacketGrid.of(levels, stride, filters)

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        image: Float[Tensor, "batch colours image_height image_width"],
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the window of `x`."""
        height, width = (self.grid.size(size) for size in plain_shape(image)[-2:])
        return crop_about_centre(x, (height, width))

    def extra_repr(self) -> str:
        """Return where the packets lie."""
        grid = self.grid
        return f"length={grid.length}, stride={grid.stride}, padding={grid.padding}"


class MixedPackets(ByKernel, Layer):
    """Mixed dual-tree packets of an image, every `subsample`-th row and column of them.

    The same as `ColourMixing`, `DualTreePacketMaps`, `KeepPackets`, `PacketMixing` and
    `ColourMixingAfter` (the children hold the parameters), `CenterCrop` and `Subsample` one after the
    other: real `(batch, colours, height, width)` to `(batch, outputs, out_height, out_width)`, a pair
    of real and imaginary part or the real part alone. What is not read of it is not computed, and no
    map of a single packet is ever kept (`wavetwin.runtime.bank`). The filters are fixed. With `modulus`
    the result is that of `Modulus` after all this.

    Exported programs, whose sizes are free, and the meta device call the children themselves. So does
    everything once a child is no longer what was made here, or hooks are to see its calls (pruning,
    `weight_norm`, adapters in its place).

    Args:
        packets: numbers of the packets to mix, in order.
        bands: per band its number of input packets, of output maps, and of groups.
        levels: stages of the cascade, 1 to 4.
        stride: step of the packets in the image, a power of two up to `2**levels`.
        filters: a name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`.
        colour: initial weights of a mixing of the colours before the packets; None: there is none.
        colours: channels that are transformed each by itself; 1 after a mixing.
        mixes_after: whether these become one channel an output after the packets are mixed.
        bias: whether every mixed map has a bias, added to both parts.
        subsample: step of the output in the packets, from the first of the window.
        imaginary: whether imaginary parts are computed.
        modulus: whether the modulus of both parts is the result, not a pair.
        lambdas: weights of the bands in the penalty, or None.
        saves_memory: compute more again in the backward pass instead of keeping it.
        native: whether CPUs compute by the native kernel, which is built first where it has to be
            (`wavetwin kernels build`); without a compiler they do not, and a warning says so.

    Raises:
        ValueError: an argument is out of range, there are two mixings of the colours, or a modulus of
            real parts alone or before a mixing of the colours.
    """

    def __init__(
        self,
        packets: Sequence[int],
        bands: Sequence[tuple[int, int, int]],
        levels: int,
        stride: int,
        filters: str = "qshift_a",
        *,
        colour: Sequence[float] | None = None,
        colours: int = 1,
        mixes_after: bool = False,
        bias: bool = False,
        subsample: int = 1,
        imaginary: bool = True,
        modulus: bool = False,
        lambdas: tuple[float, ...] | None = None,
        saves_memory: bool = False,
        native: bool = False,
    ) -> None:
        super().__init__()
        if colour is not None and colours != 1:
            raise ValueError(f"{colours} colours are transformed, but their mixing leaves one")
        if mixes_after and colours == 1:
            raise ValueError("one colour is transformed: there is nothing to mix after it")
        if modulus and (mixes_after or not imaginary):
            raise ValueError("a modulus is of both parts, and comes after all mixing")
        if subsample < 1:
            raise ValueError(f"subsample {subsample}: 1 or more is needed")
        self.colour: nn.Module | None = None
        if colour is not None:
            self.colour = ColourMixing(colour)
        self.packets = DualTreePacketMaps(levels, stride, filters, imaginary=imaginary)
        self.keep = KeepPackets(packets, colours)
        self.mixing = PacketMixing(bands, bias, colours, lambdas)
        if mixes_after:
            self.colour = ColourMixingAfter(sum(outputs for _, outputs, _ in bands), colours)
        self.crop = CenterCrop()
        self.subsample = Subsample(subsample)
        self.grid = _PacketGrid.of(levels, stride, filters)
        self.numbers = tuple(packets)
        self.bands = tuple((inputs, outputs, groups) for inputs, outputs, groups in bands)
        self.colours = colours
        self.mixes_before = colour is not None
        self.mixes_after = mixes_after
        self.has_bias = bias
        self.modulus = modulus
        self.saves_memory = saves_memory
        self.native = native and has_native_kernel()

    def forward(
        self,
        image: Float[Tensor, "batch colours height width"],
        like: Float[Tensor, "batch channels like_height like_width"] | None = None,
    ) -> Tensor | Parts:
        """Return the maps of the image.

        Args:
            image: what is transformed.
            like: maps no larger than the packets: these are cropped to its size, about the centre,
                before they are subsampled. Default: not cropped.
        """
        if image.ndim != 4:
            raise ValueError(
                f"images of shape {tuple(image.shape)}: (batch, channels, height, width) is needed, "
                "of one image, too: image.unsqueeze(0)"
            )
        if image.is_meta or torch.compiler.is_exporting() or not self._is_as_made():
            return self._one_after_the_other(image, like)
        before = self.colour.weight if isinstance(self.colour, ColourMixing) else None
        info = self._info(image, like)
        weights = self.mixing.tensors("weight")
        batch = image.shape[0]
        if self.colours != 1:
            image = image.flatten(0, 1).unsqueeze(1)
        bias = torch.cat(self.mixing.tensors("bias")) if self.has_bias else None
        mixed = mixed_packets(
            image, weights, info, before, bias,
            saves_memory=self.saves_memory, native=self.native,
        )  # fmt: skip
        if isinstance(mixed, tuple):
            return self._finish(mixed[0], batch), self._finish(mixed[1], batch)
        return self._finish(mixed, batch)

    def _is_as_made(self) -> bool:
        """Return whether the children's weights alone say what they compute."""
        mixing, colour = self.mixing, self.colour
        kinds = (ColourMixing,) if self.mixes_before else (ColourMixingAfter,)
        return (
            not is_every_call_watched()
            and (is_plain(colour, *kinds) if self.mixes_before or self.mixes_after else not colour)
            and is_plain(self.packets, DualTreePacketMaps)
            and is_plain(self.keep, KeepPackets)
            and is_plain(mixing, PacketMixing)
            and is_plain(self.crop, CenterCrop)
            and is_plain(self.subsample, Subsample)
            and len(mixing) == len(self.bands)
            and all(
                is_plain_conv(conv, inputs, outputs, 1, groups, self.has_bias)
                for conv, (inputs, outputs, groups) in zip(mixing, self.bands, strict=True)
            )
        )

    def _info(self, image: Tensor, like: Tensor | None) -> BankInfo:
        pixels = plain_shape(image)[-2:]
        sizes = [self.grid.size(size) for size in pixels]
        window = sizes if like is None else list(plain_shape(like)[-2:])
        if min(window) < 1:
            raise ValueError(f"images of shape {tuple(image.shape)} are too small for the packets")
        starts = [self.grid.start(*pair) for pair in zip(pixels, window, strict=True)]
        step = self.subsample.step
        height, width = (-(-size // step) for size in window)
        return BankInfo(
            levels=self.packets.levels,
            filters=self.packets.filter_name,
            packets=self.numbers,
            bands=self.bands,
            step=self.grid.stride * step,
            start=starts[0] if starts[0] == starts[1] else (starts[0], starts[1]),
            out_height=height,
            out_width=width,
            is_complex=self.packets.imaginary,
            has_modulus=self.modulus,
        )

    def _finish(self, part: Tensor, batch: int) -> Tensor:
        """Join the colours."""
        if self.colours != 1:
            part = part.unflatten(0, (batch, self.colours)).flatten(1, 2)
        return self.colour(part) if self.mixes_after and self.colour is not None else part

    def _one_after_the_other(self, image: Tensor, like: Tensor | None) -> Tensor | Parts:
        if self.mixes_before and self.colour is not None:
            image = self.colour(image)
        maps = self.mixing(self.keep(self.packets(image)))
        if self.mixes_after and self.colour is not None:
            maps = self.colour(maps)
        if like is not None:
            maps = self.crop(maps, like)
        maps = self.subsample(maps)
        return modulus_of(*maps) if self.modulus else maps
