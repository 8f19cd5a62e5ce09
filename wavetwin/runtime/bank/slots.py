"""Find the slots: the separable filterings that the kept packets are sums and differences of.

With v and h the filters of a vertical and a horizontal path, each of tree a or b, and `vh` the image
filtered by both (vertical tree first), a packet of the first half is (aa - bb) + i (ba + ab), of the
second (aa + bb) + i (ba - ab), the imaginary part times the packet's sign (arXiv:2212.00394).
Real parts need aa and bb alone: half of the work along the columns.

A lane names a horizontal filter. With real parts alone a lane is a horizontal path, along which tree
a's filters meet tree a's and b's meet b's; else it is a path of one tree, which meets the vertical
filters of both, taken as one tree. A slot is (lane, tree, filter); a tile is a rectangle of lanes and
filters with the outputs that take packets of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from wavetwin.runtime.bank.filters import conjugation_signs, fixed_filters, packet_paths
from wavetwin.runtime.bank.info import BankInfo

MIN_TILE_PATHS = 4
"""Paths in either direction below which a tile is too small for the convolution kernels."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of lanes and filters, and what is made of its slots; float64 on the CPU."""

    lanes: slice
    filters: slice
    outputs: slice
    """The outputs that take packets of the tile, and those between them."""
    packets: Tensor
    """(parts, packets, slots), 0 and +-1: the packets, real parts first, as sums of slots."""


@dataclass(frozen=True)
class Slots:
    """The filters of both passes, and the tiles; float64 on the CPU."""

    rows: Tensor
    """(lanes, trees, taps), along the rows."""
    columns: Tensor
    """(trees, filters, taps), along the columns."""
    tiles: tuple[Tile, ...]


def make_slots(info: BankInfo) -> Slots:
    """Return tiles that hold the kept packets.

    They are the quadrants of the first stage where these are large enough: published twins keep
    nothing of one of them, and take few outputs from two. Else all is one tile.
    """
    filters = fixed_filters("dtcwpt", info.filters, info.levels)
    paths = _kept_paths(info)
    down = _groups({vertical for vertical, _ in paths}, info.levels)
    across = _groups({horizontal for _, horizontal in paths}, info.levels)
    if min(map(len, (*down, *across))) < MIN_TILE_PATHS:
        down, across = [list(chain(*down))], [list(chain(*across))]
    # Complex packets have the trees among the paths of each group, real parts an axis for them.
    rows = [_of_paths(filters, group, info.is_complex).transpose(0, 1) for group in across]
    columns = [_of_paths(filters, group, info.is_complex) for group in down]
    tiles: list[Tile] = []
    first_lane = 0
    for row_group, row_paths in zip(rows, across, strict=True):
        lanes = slice(first_lane, first_lane + len(row_group))
        first_lane, first_filter = lanes.stop, 0
        for column_group, column_paths in zip(columns, down, strict=True):
            positions = slice(first_filter, first_filter + column_group.shape[1])
            first_filter = positions.stop
            outputs = _outputs(info, paths, column_paths, row_paths)
            if outputs is not None:
                packets = _packets(info, paths, column_paths, row_paths)
                tiles.append(Tile(lanes, positions, outputs, packets))
    return Slots(torch.cat(rows), torch.cat(columns, dim=1), tuple(tiles))


def _kept_paths(info: BankInfo) -> list[tuple[int, int]]:
    """Return the vertical and the horizontal path of every kept packet."""
    vertical, horizontal = (paths.tolist() for paths in packet_paths(info.levels))
    per_half = 4**info.levels
    return [(vertical[p % per_half], horizontal[p % per_half]) for p in info.packets]


def _groups(paths: set[int], levels: int) -> list[list[int]]:
    """Return the paths whose first stage is the low-pass, and the others."""
    groups = [[p for p in sorted(paths) if p >> (levels - 1) == bit] for bit in (0, 1)]
    return [group for group in groups if group]


def _of_paths(filters: Tensor, paths: list[int], is_complex: bool) -> Tensor:
    """Return (trees, paths, taps), or (1, trees * paths, taps) of complex packets."""
    chosen = filters[:, paths]
    return chosen.flatten(0, 1).unsqueeze(0) if is_complex else chosen


def _outputs(
    info: BankInfo, paths: list[tuple[int, int]], down: list[int], across: list[int]
) -> slice | None:
    """Return the outputs that take packets of a rectangle of paths, with those between them."""
    taken: list[int] = []
    first_input, first_output = 0, 0
    for inputs, outputs, groups in info.bands:
        for position, (vertical, horizontal) in enumerate(
            paths[first_input : first_input + inputs]
        ):
            if vertical in down and horizontal in across:
                group = position // (inputs // groups)
                start = first_output + group * (outputs // groups)
                taken += [start, start + outputs // groups - 1]
        first_input, first_output = first_input + inputs, first_output + outputs
    return slice(min(taken), max(taken) + 1) if taken else None


def _packets(
    info: BankInfo, paths: list[tuple[int, int]], down: list[int], across: list[int]
) -> Tensor:
    """Return a tile's (parts, packets, slots)."""
    signs = conjugation_signs(fixed_filters("dtcwpt", info.filters, info.levels))
    shape = (len(paths), len(across), len(down))
    aa, bb, ba, ab = (torch.zeros(shape, dtype=torch.float64, device="cpu") for _ in range(4))
    for row, (packet, (vertical, horizontal)) in enumerate(zip(info.packets, paths, strict=True)):
        if vertical not in down or horizontal not in across:
            continue
        position = (row, across.index(horizontal), down.index(vertical))
        half = 1.0 if packet >= 4**info.levels else -1.0
        sign = float(signs[packet])
        aa[position], bb[position] = 1.0, half
        ba[position], ab[position] = sign, -half * sign
    if not info.is_complex:
        return torch.stack((aa, bb), dim=2).reshape(1, len(paths), -1)
    zero = torch.zeros_like(aa)
    # Lanes (tree, path), then the vertical filters (tree, path).
    real = torch.stack((torch.stack((aa, zero), 2), torch.stack((zero, bb), 2)), dim=1)
    imaginary = torch.stack((torch.stack((zero, ba), 2), torch.stack((ab, zero), 2)), dim=1)
    return torch.stack((real, imaginary)).reshape(2, len(paths), -1)
