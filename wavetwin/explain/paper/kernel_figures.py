"""Make the figure of first layers: the kernels of all runs and their spectra, at one scale.

A weight has the same size in every run: the windows that are shown are as wide as the widest of them.
Each channel is scaled to its own largest weight, mid-grey is 0; spectra are white at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wavetwin.explain.paper.figure_files import PaperFigure
from wavetwin.explain.show.kernel_tiles import (
    KernelTile,
    Pixels,
    common_side,
    kernel_tiles,
    shown_weights,
)
from wavetwin.runtime.network.kernels import ResultingKernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["kernel_figure"]

_ACROSS = 8
"""Channels in a row."""
_WIDTH, _GAP, _TITLE = 7.0, 0.1, 0.2
"""Inches: of the whole, around each block, and of the line above it."""
_WHITE, _FRAME = 255, 190
_HEADER = ("run", "channel", "band", "colour", "row", "column", "real", "imaginary")


def kernel_figure(
    layers: Sequence[tuple[str, ResultingKernel]], name: str = "kernels"
) -> PaperFigure:
    """Return the figure of one or several first layers, below each other.

    Args:
        layers: what is shown above each, and its kernel.
        name: of the files.
    """
    side = common_side([kernel for _, kernel in layers])
    blocks = [
        (_title(label, section), _mosaic(tiles), _spectra(tiles))
        for label, kernel in layers
        for section, tiles in kernel_tiles(kernel, side)
    ]
    pixel = (_WIDTH - 3 * _GAP) / 2 / max(kernels.shape[1] for _, kernels, _ in blocks)
    heights = [kernels.shape[0] * pixel + _TITLE + _GAP for _, kernels, _ in blocks]
    total = sum(heights) + _GAP

    def draw(figure: Figure) -> None:
        top = total
        for (title, kernels, spectra), height in zip(blocks, heights, strict=True):
            across, down = kernels.shape[1] * pixel, kernels.shape[0] * pixel
            for left, picture, text, wide in (
                (_GAP, kernels, title, across),
                (
                    _WIDTH / 2 + _GAP / 2,
                    spectra,
                    "spectra",
                    down * spectra.shape[1] / spectra.shape[0],
                ),
            ):
                # Placed by hand: a weight has to be as large in every block.
                corner = left / _WIDTH, (top - _TITLE - down) / total
                axes = figure.add_axes((*corner, wide / _WIDTH, down / total))
                axes.imshow(picture, interpolation="none", aspect="auto")
                axes.set_axis_off()
                axes.set_title(text.replace("$", r"\$"), loc="left", pad=2)
            top -= height

    rows = [row for label, kernel in layers for row in _rows(label, kernel, side)]
    return PaperFigure(name, (_WIDTH, total), draw, _HEADER, rows, is_placed=True)


def _title(label: str, section: str) -> str:
    return f"{label}: {section[:1].lower()}{section[1:]}"


def _mosaic(tiles: Sequence[KernelTile]) -> Pixels:
    """Return all kernels of a section, (height, width, 3), a pixel a weight, a white pixel between."""
    return _rows_of(
        [np.concatenate([_framed(panel) for panel in tile.panels], 1) for tile in tiles]
    )


def _spectra(tiles: Sequence[KernelTile]) -> Pixels:
    return _rows_of([_framed(tile.spectrum, _FRAME) for tile in tiles])


def _framed(pixels: Pixels, value: int = _WHITE) -> Pixels:
    return np.pad(pixels, ((1, 1), (1, 1), (0, 0)), constant_values=value)


def _rows_of(pictures: Sequence[Pixels]) -> Pixels:
    height, width, _ = pictures[0].shape
    across = min(_ACROSS, len(pictures))
    down = -(-len(pictures) // across)
    whole = np.full((down * height, across * width, 3), _WHITE, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture
    return whole


def _rows(label: str, kernel: ResultingKernel, side: int) -> list[list[str | float]]:
    weights: Any = shown_weights(kernel, side).numpy()
    rows: list[list[str | float]] = []
    for position, value in np.ndenumerate(weights):
        channel, colour, row, column = position
        band = kernel.bands[channel]
        number = complex(value)
        imaginary = number.imag if kernel.is_complex[channel] else ""
        name: str | float = "free" if band is None else band + 1
        rows.append([label, channel, name, colour, row, column, number.real, imaginary])
    return rows
