"""Transform images by the dual-tree complex wavelets, level by level (Kingsbury's decimated form).

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
        x = _repeat_ends(x, dim, 0, 2 * ((x.shape[dim] + 1) // 2))
    return x


def make_divisible_by_four(x: Tensor, height: int, width: int, level: int) -> Tensor:
    """Return a low band whose first and last lines are repeated where 4 divides them not.

    Args:
        x: the low band of `level`, 2 * ceil(height / 2**level) rows, and columns likewise.
        height: of the maps that were transformed.
        width: likewise.
        level: 1 or more.
    """
    for dim, n in ((2, height), (3, width)):
        # From the whole map's size: a trace with free sizes would nest one rounding a level.
        pairs, fours = _ceil(n, 2**level), _ceil(n, 2 ** (level + 1))
        x = _repeat_ends(x, dim, 2 * fours - pairs, 4 * fours)
    return x


def _ceil(n: int, divisor: int) -> int:
    return (n + divisor - 1) // divisor


def _repeat_ends(x: Tensor, dim: int, before: int, length: int) -> Tensor:
    n = x.shape[dim]
    if not torch.compiler.is_compiling() and length == n:
        return x
    # Without a question of whether anything is repeated, so that a trace holds for both answers.
    positions = torch.arange(length, device=x.device) - before
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
    quads = _swap_last(bands) * math.sqrt(0.5)
    quads = quads.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).movedim((4, 6), (0, 1)).flatten(0, 1)
    a, b, c, d = quads[0], quads[1], quads[2], quads[3]
    # From the other side the bands of 15, 45 and 75 degrees are those of 105, 135 and 165.
    real = torch.cat((a - d, (a + d).flip(2)), 2)
    imaginary = torch.cat((b + c, (b - c).flip(2)), 2)
    return real, imaginary


def parts_to_quads(
    real: Float[Tensor, "batch channels 6 height width"],
    imaginary: Float[Tensor, "batch channels 6 height width"],
) -> Float[Tensor, "batch channels 3 twice_height twice_width"]:
    """Return the three bands of which `quads_to_parts` made these parts."""
    first_real, second_real = real[:, :, :3], real[:, :, 3:].flip(2)
    first_imaginary, second_imaginary = imaginary[:, :, :3], imaginary[:, :, 3:].flip(2)
    quads = torch.stack(
        (
            second_real + first_real,
            first_imaginary + second_imaginary,
            first_imaginary - second_imaginary,
            second_real - first_real,
        )
    )
    quads = quads.unflatten(0, (2, 2)).movedim((0, 1), (4, 6)) * math.sqrt(0.5)
    return _swap_last(quads.flatten(5, 6).flatten(3, 4))


def _swap_last(bands: Tensor) -> Tensor:
    """Put the diagonal of three bands between the other two, where its angles lie, or back."""
    return torch.cat((bands[:, :, 0:1], bands[:, :, 2:3], bands[:, :, 1:2]), 2)


def _split(x: Tensor, filters: Tensor, dim: int) -> Tensor:
    """Filter (images, 1, height, width) along one axis: low and high, (images, 2, ...), half as long."""
    num_taps = filters.shape[1]
    margin = num_taps - 2
    trees = _deinterleave(extend(x, dim, margin, margin, "symmetric"), dim)
    if dim == 3:
        bands = F.conv2d(trees, filters[:, None, None, :], stride=(1, 2), groups=2)
    else:
        bands = F.conv2d(trees, filters[:, None, :, None], stride=(2, 1), groups=2)
    # Channels are low a, high a, low b, high b. The low-pass of tree a lies half a sample before that
    # of tree b, the high-pass after it.
    pairs = torch.cat((bands[:, 0::2], bands[:, 3:4], bands[:, 1:2]), 1).unflatten(1, (2, 2))
    return pairs.movedim(2, dim + 1).flatten(dim, dim + 1)


def _join(bands: Tensor, filters: Tensor, dim: int) -> Tensor:
    """Undo `_split`: (images, 2, height, width) to (images, 1, ...), twice as long."""
    num_taps = filters.shape[1]
    margin = num_taps // 4
    extended = extend(bands, dim, 2 * margin, 2 * margin, "symmetric")
    pairs = extended.unflatten(dim, (-1, 2)).movedim(dim + 1, 2).flatten(1, 2)
    trees = torch.cat((pairs[:, 0:1], pairs[:, 3:4], pairs[:, 1:3]), 1)
    crop = 2 * margin + num_taps // 2 - 1
    if dim == 3:
        joined = F.conv_transpose2d(
            trees, filters[:, None, None, :], stride=(1, 2), padding=(0, crop), groups=2
        )
    else:
        joined = F.conv_transpose2d(
            trees, filters[:, None, :, None], stride=(2, 1), padding=(crop, 0), groups=2
        )
    return joined.movedim(1, dim).flatten(dim - 1, dim).unsqueeze(1)


def _deinterleave(x: Tensor, dim: int) -> Tensor:
    """Return (images, 2, ...): the even and the odd samples along an axis of (images, 1, ...)."""
    return x.squeeze(1).unflatten(dim - 1, (-1, 2)).movedim(dim, 1)
