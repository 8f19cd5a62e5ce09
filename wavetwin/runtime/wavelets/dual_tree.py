"""The dual-tree complex wavelet transform, level by level, on images (Kingsbury's decimated form).

Maps of the two trees lie interleaved, as Kingsbury's programs have them: pixel (2i, 2j) is of tree a in
both directions. Borders are symmetric with the last sample repeated. Four bands, vertical filter first
(low-low, high-low, low-high, high-high), become six complex ones by sums and differences within
quads of pixels; the bands' angles are those of the stripes that they see, counter-clockwise, the
vertical axis upwards: 15, 45, 75, 105, 135, 165 degrees.

Sources: Kingsbury 2001, doi:10.1006/acha.2000.0343; Selesnick, Baraniuk and Kingsbury 2005,
doi:10.1109/MSP.2005.1550194.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir.level1_taps import level1_taps
from wavetwin.runtime.bank.filters import qshift_taps
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.wavelets.extension import extend

ANGLES = (15, 45, 75, 105, 135, 165)
"""Orientations of the complex bands in degrees, in order."""


def level1_filters(name: str) -> tuple[Float[Tensor, "2 taps"], Float[Tensor, "2 taps"]]:
    """Return low-pass and high-pass of analysis and of synthesis, float64, at equal odd lengths."""
    taps = level1_taps(name)
    pairs = (
        (taps.analysis_low, taps.analysis_high),
        (taps.synthesis_low, taps.synthesis_high),
    )
    rows: list[Tensor] = []
    for pair in pairs:
        longest = max(map(len, pair))
        padded = [
            F.pad(
                torch.tensor(row, dtype=torch.float64, device="cpu"),
                ((longest - len(row)) // 2,) * 2,
            )
            for row in pair
        ]
        rows.append(torch.stack(padded))
    return rows[0], rows[1]


def qshift_filters(name: str) -> Float[Tensor, "4 taps"]:
    """Return correlation kernels of the later levels: low and high of tree a, low and high of tree b.

    The synthesis filters of these orthonormal trees are the same ones, transposed.
    """
    taps = qshift_taps(name)
    primal, dual = (
        torch.stack((taps.low[0], taps.high[0])),
        torch.stack((taps.low[1], taps.high[1])),
    )
    return torch.cat((primal, dual)).flip(1)


def make_even(x: Tensor) -> Tensor:
    """Return maps whose last row and column are repeated where there is an odd number of them."""
    for dim in (2, 3):
        n = x.shape[dim]
        x = _repeat_ends(x, dim, 0, n % 2)
    return x


def make_divisible_by_four(x: Tensor) -> Tensor:
    """Return maps of even sizes whose first and last lines are repeated where 4 divides them not."""
    for dim in (2, 3):
        rest = x.shape[dim] % 4
        x = _repeat_ends(x, dim, rest // 2, rest // 2)
    return x


def _repeat_ends(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    if not torch.compiler.is_compiling() and before + after == 0:
        return x
    n = x.shape[dim]
    # Without a question of whether anything is repeated, so that a trace holds for both answers.
    positions = torch.arange(n + before + after, device=x.device) - before
    return x.index_select(dim, positions.clamp(0, n - 1))


def analyse_level1(
    x: Float[Tensor, "batch channels height width"],
    filters: Float[Tensor, "filters taps"],
    mode: str = "symmetric",
) -> Float[Tensor, "batch channels bands height width"]:
    """Return the first level's four bands, undecimated, or of one filter the low one alone.

    Args:
        x: maps of even height and width.
        filters: of analysis, from `level1_filters`: both, or the low-pass alone.
        mode: a boundary mode; only `symmetric` can be inverted.
    """
    margin = filters.shape[1] // 2
    kernel = filters.flip(1).unsqueeze(1)
    batch, channels = x.shape[:2]
    maps = extend(x.flatten(0, 1).unsqueeze(1), 3, margin, margin, mode)
    maps = F.conv2d(maps, kernel.unsqueeze(2)).flatten(0, 1).unsqueeze(1)
    maps = F.conv2d(extend(maps, 2, margin, margin, mode), kernel.unsqueeze(3))
    return maps.reshape(batch, channels, kernel.shape[0] ** 2, *maps.shape[2:])


def synthesise_level1(
    bands: Float[Tensor, "batch channels 4 height width"], filters: Float[Tensor, "2 taps"]
) -> Float[Tensor, "batch channels height width"]:
    """Return the maps of which `analyse_level1` made these bands; `filters` are of synthesis."""
    margin = filters.shape[1] // 2
    kernel = filters.flip(1).unsqueeze(0)
    batch, channels = bands.shape[:2]
    maps = bands.reshape(-1, 2, *bands.shape[3:])
    maps = F.conv2d(extend(maps, 2, margin, margin, "symmetric"), kernel.unsqueeze(3))
    maps = extend(maps.reshape(-1, 2, *maps.shape[2:]), 3, margin, margin, "symmetric")
    maps = F.conv2d(maps, kernel.unsqueeze(2))
    return maps.reshape(batch, channels, *maps.shape[2:])


def analyse_level(
    x: Float[Tensor, "batch channels height width"], filters: Float[Tensor, "4 taps"]
) -> Float[Tensor, "batch channels 4 half_height half_width"]:
    """Return a later level's four bands, both trees interleaved.

    Args:
        x: the low band of the level before, of height and width that 4 divides.
        filters: from `qshift_filters`.
    """
    batch, channels = x.shape[:2]
    maps = _split(x.flatten(0, 1).unsqueeze(1), filters, 3)
    maps = _split(maps.flatten(0, 1).unsqueeze(1), filters, 2)
    return maps.reshape(batch, channels, 4, *maps.shape[2:])


def synthesise_level(
    bands: Float[Tensor, "batch channels 4 height width"], filters: Float[Tensor, "4 taps"]
) -> Float[Tensor, "batch channels twice_height twice_width"]:
    """Return the maps of which `analyse_level` made these bands, with the same filters."""
    batch, channels = bands.shape[:2]
    maps = _join(bands.reshape(-1, 2, *bands.shape[3:]), filters, 2)
    maps = _join(maps.reshape(-1, 2, *maps.shape[2:]), filters, 3)
    return maps.reshape(batch, channels, *maps.shape[2:])


def quads_to_parts(
    bands: Float[Tensor, "batch channels 3 height width"],
) -> tuple[
    Float[Tensor, "batch channels 6 half_height half_width"],
    Float[Tensor, "batch channels 6 half_height half_width"],
]:
    """Return real and imaginary parts of the six complex bands.

    A quad (a b; c d) of a band gives ((a - d) + i (b + c)) / sqrt(2), which goes to 15, 75 and 45
    degrees for the bands high-low, low-high and high-high, and ((a + d) + i (b - c)) / sqrt(2), which
    goes to 165, 105 and 135.
    """
    quads = bands.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)) * math.sqrt(0.5)
    (a, b), (c, d) = (row.unbind(5) for row in quads.unbind(4))
    real = torch.cat((_first(a - d), _second(a + d)), 2)
    imaginary = torch.cat((_first(b + c), _second(b - c)), 2)
    return real, imaginary


def parts_to_quads(
    real: Float[Tensor, "batch channels 6 height width"],
    imaginary: Float[Tensor, "batch channels 6 height width"],
) -> Float[Tensor, "batch channels 3 twice_height twice_width"]:
    """Return the three bands of which `quads_to_parts` made these parts."""
    first_real, second_real = _unfirst(real[:, :, :3]), _unsecond(real[:, :, 3:])
    first_imaginary, second_imaginary = (
        _unfirst(imaginary[:, :, :3]),
        _unsecond(imaginary[:, :, 3:]),
    )
    upper = torch.stack((second_real + first_real, first_imaginary + second_imaginary), 5)
    lower = torch.stack((first_imaginary - second_imaginary, second_real - first_real), 5)
    quads = torch.stack((upper, lower), 4) * math.sqrt(0.5)
    return quads.flatten(5, 6).flatten(3, 4)


def _first(bands: Tensor) -> Tensor:
    """Order high-low, low-high, high-high as 15, 45, 75 degrees."""
    return torch.stack((bands[:, :, 0], bands[:, :, 2], bands[:, :, 1]), 2)


def _second(bands: Tensor) -> Tensor:
    """Order high-low, low-high, high-high as 105, 135, 165 degrees."""
    return torch.stack((bands[:, :, 1], bands[:, :, 2], bands[:, :, 0]), 2)


def _unfirst(bands: Tensor) -> Tensor:
    return torch.stack((bands[:, :, 0], bands[:, :, 2], bands[:, :, 1]), 2)


def _unsecond(bands: Tensor) -> Tensor:
    return torch.stack((bands[:, :, 2], bands[:, :, 0], bands[:, :, 1]), 2)


def _split(x: Tensor, filters: Tensor, dim: int) -> Tensor:
    """Filter (images, 1, height, width) along one axis: low and high, (images, 2, ...), half as long."""
    num_taps = filters.shape[1]
    margin = num_taps - 2
    trees = _deinterleave(extend(x, dim, margin, margin, "symmetric"), dim)
    if dim == 3:
        bands = F.conv2d(trees, filters[:, None, None, :], stride=(1, 2), groups=2)
    else:
        bands = F.conv2d(trees, filters[:, None, :, None], stride=(2, 1), groups=2)
    low_a, high_a, low_b, high_b = bands.unbind(1)
    # The low-pass of tree a lies half a sample before that of tree b, the high-pass after it.
    pairs = torch.stack((low_a, low_b), dim), torch.stack((high_b, high_a), dim)
    return torch.stack([pair.flatten(dim - 1, dim) for pair in pairs], 1)


def _join(bands: Tensor, filters: Tensor, dim: int) -> Tensor:
    """Undo `_split`: (images, 2, height, width) to (images, 1, ...), twice as long."""
    num_taps = filters.shape[1]
    margin = num_taps // 4
    extended = extend(bands, dim, 2 * margin, 2 * margin, "symmetric")
    pairs = extended.unflatten(dim, (-1, 2))
    first, second = pairs.unbind(dim + 1)
    trees = torch.stack((first[:, 0], second[:, 1], second[:, 0], first[:, 1]), 1)
    crop = 2 * margin + num_taps // 2 - 1
    if dim == 3:
        joined = F.conv_transpose2d(
            trees, filters[:, None, None, :], stride=(1, 2), padding=(0, crop), groups=2
        )
    else:
        joined = F.conv_transpose2d(
            trees, filters[:, None, :, None], stride=(2, 1), padding=(crop, 0), groups=2
        )
    return torch.stack(joined.unbind(1), dim).flatten(dim - 1, dim).unsqueeze(1)


def _deinterleave(x: Tensor, dim: int) -> Tensor:
    """Return (images, 2, ...): the even and the odd samples along an axis of (images, 1, ...)."""
    return torch.stack(x.squeeze(1).unflatten(dim - 1, (-1, 2)).unbind(dim), 1)
