"""Draw the tiles of a picture of kernels: one a channel, legible when printed in grey.

Every kernel is drawn in colour and, below, colour by colour in grey; spectra are grey throughout, so
that nothing is shown by hue alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from wavetwin.runtime.network.kernels import ResultingKernel

__all__ = [
    "FRAME",
    "INK",
    "PAPER",
    "KernelTile",
    "Pixels",
    "common_side",
    "draw_panels",
    "draw_tile",
    "kernel_tiles",
    "shown_weights",
    "tile_side",
]

_PANEL = 72
"""Pixels of a panel, about: a whole multiple of the kernel's size, three times it or more, so that
each colour alone has a pixel a weight."""
PAPER, INK, FRAME = (255, 255, 255), (0, 0, 0), (150, 150, 150)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class KernelTile:
    """One channel, ready to be drawn."""

    label: tuple[str, str]
    """Its number, from 0, and where its spectrum is largest, (down, right) in radians a pixel."""
    panels: tuple[Pixels, ...]
    """Kernels, (height, width, 3)."""
    strips: tuple[tuple[Pixels, ...], ...]
    """Below each panel its colours one by one, in grey; none for one colour."""
    spectrum: Pixels


def kernel_tiles(
    kernel: ResultingKernel, side: int | None = None
) -> list[tuple[str, list[KernelTile]]]:
    """Return what is drawn of every channel, by band, in the channels' order; bands count from 1.

    Kernels are cut to a window, see `shown_weights`, and scaled to their largest weight.
    """
    shown = shown_weights(kernel, side)
    spectrum = kernel.spectrum().detach().cpu()
    frequencies = kernel.centre_frequencies().tolist()
    tiles = [
        _tile(kernel, channel, shown[channel], spectrum[channel], frequencies[channel])
        for channel in range(len(shown))
    ]
    return _sections(kernel, tiles)


def common_side(kernels: Sequence[ResultingKernel]) -> int:
    """Return the side of the widest window among several first layers, so that all have one scale."""
    return max(each.energy_window()[2] for each in kernels)


def shown_weights(kernel: ResultingKernel, side: int | None = None) -> torch.Tensor:
    """Return the weights in a window, `(channels, colours, side, side)`; zeros beyond the kernel.

    Args:
        kernel: of a first layer.
        side: of a window around that of `ResultingKernel.energy_window`; None, or one that is smaller: that one.
    """
    top, left, own = kernel.energy_window()
    side = max(own, side or own)
    top, left = top - (side - own) // 2, left - (side - own) // 2
    height, width = kernel.weight.shape[-2:]
    weight = kernel.weight.detach().cpu()
    cut = weight[..., max(0, top) : top + side, max(0, left) : left + side]
    before = max(0, -left), max(0, -top)
    after = max(0, left + side - width), max(0, top + side - height)
    return torch.nn.functional.pad(cut, (before[0], after[0], before[1], after[1]))


def _tile(
    kernel: ResultingKernel,
    channel: int,
    weight: torch.Tensor,
    spectrum: torch.Tensor,
    frequency: Sequence[float],
) -> KernelTile:
    parts = [weight.real, weight.imag] if kernel.is_complex[channel] else [weight]
    parts = [part.real if part.is_complex() else part for part in parts]
    largest = max(float(part.abs().max()) for part in parts)
    scaled = [_to_pixels(0.5 + 0.5 * part.numpy() / (largest or 1.0)) for part in parts]
    vertical, horizontal = frequency
    return KernelTile(
        label=(f"{channel}", f"({vertical:+z.2f}, {horizontal:z.2f})"),
        panels=tuple(_in_colour(part) for part in scaled),
        strips=tuple(
            tuple(_grey(colour) for colour in part) if len(part) == 3 else () for part in scaled
        ),
        spectrum=_grey(_to_pixels(1 - (spectrum / (float(spectrum.max()) or 1.0)).numpy())),
    )


def _to_pixels(values: Any) -> Pixels:
    return np.clip(np.rint(255 * np.asarray(values, dtype=np.float64)), 0, 255).astype(np.uint8)


def _grey(values: Pixels) -> Pixels:
    return np.repeat(values[:, :, None], 3, axis=2)


def _in_colour(part: Pixels) -> Pixels:
    """Return (colours, height, width) as RGB, or as grey where there are not three colours."""
    if len(part) == 3:
        return part.transpose(1, 2, 0)
    return _grey(np.rint(part.mean(0)).astype(np.uint8))


def _sections(
    kernel: ResultingKernel, tiles: Sequence[KernelTile]
) -> list[tuple[str, list[KernelTile]]]:
    """Group the channels by band, in their order."""
    sections: list[tuple[str, list[KernelTile]]] = []
    last: object = ()
    for tile, band in zip(tiles, kernel.bands, strict=True):
        if band != last or not sections:
            name = "Free channels" if band is None else f"Wavelet channels, band {band + 1}"
            sections.append((name, []))
            last = band
        sections[-1][1].append(tile)
    return sections


def tile_side(size: int) -> int:
    """Return a panel's pixels for a kernel of this size."""
    return size * max(3, round(_PANEL / size))


def draw_tile(tile: KernelTile) -> Image.Image:
    """Return a picture of one channel without its label: kernels, colours below, the spectrum."""
    side = tile_side(tile.panels[0].shape[0])
    strip = side // 3 if tile.strips[0] else 0
    width = (len(tile.panels) + 1) * (side + 2) - 2 + 4
    picture = Image.new("RGB", (width, side + max(strip, 4)), PAPER)
    draw_panels(picture, ImageDraw.Draw(picture), tile, (0, 0), side, strip)
    return picture


def draw_panels(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: KernelTile,
    corner: tuple[int, int],
    side: int,
    strip: int,
) -> None:
    """Draw a channel's kernels, their colours below, and its spectrum, from the upper left."""
    x, y = corner
    for panel, colours in zip(tile.panels, tile.strips, strict=True):
        _paste(picture, draw, panel, (x, y, side), Image.Resampling.NEAREST)
        for number, colour in enumerate(colours):
            position = (x + number * strip, y + side, strip)
            _paste(picture, draw, colour, position, Image.Resampling.BOX)
        x += side + 2
    _paste(picture, draw, tile.spectrum, (x, y, side), Image.Resampling.LANCZOS)
    # Ticks where the axes meet the frame: they show frequency 0 and hide nothing.
    half = side // 2
    for start, stop in (
        ((half, side), (half, side + 3)),
        ((side, half), (side + 3, half)),
    ):
        draw.line((x + start[0], y + start[1], x + stop[0], y + stop[1]), INK)


def _paste(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    pixels: Pixels,
    position: tuple[int, int, int],
    method: Image.Resampling,
) -> None:
    x, y, side = position
    picture.paste(Image.fromarray(pixels).resize((side, side), method), (x, y))
    draw.rectangle((x, y, x + side - 1, y + side - 1), outline=FRAME)
