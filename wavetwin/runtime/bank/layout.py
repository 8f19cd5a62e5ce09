"""Lay out the bank for one image size, type and device, once; docs/bank.md draws a layout.

A layout holds constants only, so that it may be shared by modules, threads and overlapping calls.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.runtime.bank.blocks import AxisBlocks, axis_blocks
from wavetwin.runtime.bank.eager import outside_modes
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.slots import make_slots

ROW_BLOCK = 16
"""Samples in a block along the rows: as many as a vector register holds."""

CHUNK_BYTES = 16 * 2**20
"""Slots that are filtered at once on a CPU. They stay in the cache, and below the size from which
malloc takes fresh pages from the system for every tensor."""


@dataclass(frozen=True, eq=False)
class TileLayout:
    """A tile's part of a layout."""

    lanes: slice
    outputs: slice
    num_lanes: int
    filters: int
    """Vertical filters of a tree."""
    column_kernel: Tensor
    """(trees * per_block * filters, block, reach, 1), in as many groups as there are trees."""
    packets: Tensor
    """(parts, packets, slots)."""


@dataclass(frozen=True, eq=False)
class BankLayout:
    """Geometry and constants; lanes, trees, filters and slots as in `wavetwin.runtime.bank.slots`."""

    info: BankInfo
    lanes: int
    trees: int
    tiles: tuple[TileLayout, ...]
    along_rows: AxisBlocks
    along_columns: AxisBlocks
    margins: tuple[int, int, int, int]
    """Padding of the luminance, left, right, top, bottom; negative where samples are not read."""
    num_blocks: int
    """Blocks of rows, after that padding."""
    zero_blocks: tuple[int, int]
    """Blocks of zeros above and below them, which are not filtered along the rows."""
    row_kernel: Tensor
    """(per_block * lanes * trees, block, 1, reach)."""
    weight_index: Tensor
    """Where each mixing weight lies in the flattened (outputs, packets) matrix."""

    @property
    def wide(self) -> int:
        """Columns that are computed: a whole number of blocks."""
        return self.along_rows.num_blocks * self.along_rows.per_block

    @property
    def padding(self) -> int:
        """Blocks of zeros on either side of the columns' correlation, which pads both alike."""
        return max(self.zero_blocks)

    @property
    def skip(self) -> int:
        """Rows of the result that come out only because both sides are padded alike."""
        return (self.padding - self.zero_blocks[0]) * self.along_columns.per_block

    @property
    def high(self) -> int:
        """Rows that are computed."""
        axis = self.along_columns
        return (self.num_blocks + 2 * self.padding - axis.reach + 1) * axis.per_block

    @property
    def lane_values(self) -> int:
        """Numbers an image that the rows' filters give."""
        rows = self.num_blocks * self.along_columns.block
        return rows * self.wide * self.lanes * self.trees

    def tile_values(self, tile: TileLayout) -> int:
        """Numbers an image that both filters give in a tile."""
        return self.high * self.wide * self.trees * tile.num_lanes * tile.filters

    def chunks(self, batch: int) -> int:
        """Return in how many parts of the batch to compute."""
        if self.row_kernel.device.type != "cpu":
            return 1
        largest = max(self.tile_values(tile) for tile in self.tiles)
        per_image = max(largest, self.lane_values) * self.row_kernel.element_size()
        return -(-batch // max(1, CHUNK_BYTES // per_image))


def make_layout(
    info: BankInfo, height: int, width: int, dtype: torch.dtype, device: torch.device
) -> BankLayout:
    """Return the layout for images of a size; the last 64 are kept.

    On a CPU an axis is cut in blocks. Elsewhere each pass is one product with a Toeplitz matrix: more
    multiplications, but few launches, and no convolution that might round to TF32.
    """
    return build_layout(info, height, width, dtype, device, device.type == "cpu")


@functools.lru_cache(maxsize=64)
def build_layout(
    info: BankInfo,
    height: int,
    width: int,
    dtype: torch.dtype,
    device: torch.device,
    is_banded: bool,
) -> BankLayout:
    """Return the layout with axes cut in blocks, or with Toeplitz matrices.

    Raises:
        ValueError: all that the info would read lies outside the image.
    """
    with outside_modes():
        slots = make_slots(info)
        lanes, trees, taps = slots.rows.shape
        per_row, per_column = max(1, ROW_BLOCK // info.step), trees * min(2, len(slots.tiles))
        top, left = info.starts
        rows = axis_blocks(
            slots.rows.reshape(1, lanes * trees, taps), left, info.step, info.out_width,
            per_row if is_banded else info.out_width,
        )  # fmt: skip
        columns = axis_blocks(
            slots.columns, top, info.step, info.out_height,
            per_column if is_banded else info.out_height,
        )  # fmt: skip
        _check_window(rows, width)
        _check_window(columns, height)
        first, num_blocks = _read_blocks(columns, height)
        before = (first - columns.first) // columns.block
        right = rows.first + rows.total_blocks * rows.block - width
        bottom = first + num_blocks * columns.block - height

        def constant(value: Tensor) -> Tensor:
            # Plainly contiguous: torch 2.13 misreads kernels of width 1 in groups that pass for
            # channels-last by their strides.
            return value.to(device=device, dtype=dtype).contiguous()

        return BankLayout(
            info=info,
            lanes=lanes,
            trees=trees,
            tiles=tuple(
                TileLayout(
                    lanes=tile.lanes,
                    outputs=tile.outputs,
                    num_lanes=tile.lanes.stop - tile.lanes.start,
                    filters=tile.filters.stop - tile.filters.start,
                    column_kernel=constant(
                        columns.kernels[:, :, tile.filters].flatten(0, 2).unsqueeze(3)
                    ),
                    packets=constant(tile.packets),
                )
                for tile in slots.tiles
            ),
            along_rows=rows,
            along_columns=columns,
            margins=(-rows.first, right, -first, bottom),
            num_blocks=num_blocks,
            zero_blocks=(before, columns.total_blocks - before - num_blocks),
            row_kernel=constant(rows.kernels[0].flatten(0, 1).unsqueeze(2)),
            weight_index=weight_index(info).to(device),
        )


def _check_window(axis: AxisBlocks, size: int) -> None:
    stop = axis.first + axis.total_blocks * axis.block
    if axis.first >= size or stop <= 0:
        raise ValueError(
            f"samples {axis.first} to {stop - 1} are read of {size}: none of the image"
        )


def _read_blocks(axis: AxisBlocks, size: int) -> tuple[int, int]:
    """Return the first sample and the number of the blocks that hold a sample of the image."""
    if axis.is_dense:
        return axis.first, 1
    end = axis.first + axis.total_blocks * axis.block
    first = min(max(axis.first, 0), end - axis.block)
    return first, max(1, -(-(min(size, end) - first) // axis.block))


def weight_index(info: BankInfo) -> Tensor:
    """Return where each mixing weight lies in the flattened (outputs, packets) matrix."""
    positions: list[int] = []
    first_output, first_input = 0, 0
    for inputs, outputs, groups in info.bands:
        per_group, of_group = inputs // groups, outputs // groups
        for output in range(outputs):
            start = first_input + output // of_group * per_group
            row = (first_output + output) * len(info.packets)
            positions += range(row + start, row + start + per_group)
        first_output, first_input = first_output + outputs, first_input + inputs
    return torch.tensor(positions, device="cpu")
