"""Apply the bank's linear maps and their adjoints, in differentiable torch operations.

Maps are stored with their channels last. Axes: `wide` and `high`, the computed columns and rows of the
result, a few more than are kept; `position`, the outputs that begin in a block of rows; lanes, trees,
filters and slots as in `wavetwin.runtime.bank.slots`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from wavetwin.runtime.bank.layout import BankLayout, TileLayout


def luminance(x: Tensor, colour: Tensor | None) -> Tensor:
    """Mix (batch, colours, H, W) to (batch, H, W)."""
    if colour is None:
        return x[:, 0]
    if x.is_contiguous():
        return torch.matmul(colour.flatten(), x.flatten(2)).view(x.shape[0], *x.shape[2:])
    return torch.matmul(x.permute(0, 2, 3, 1), colour.flatten())


def luminance_weights(of_y: Tensor, x: Tensor) -> Tensor:
    """Apply the adjoint of `luminance` in the colours' weights: (colours,)."""
    if x.is_contiguous():
        return torch.matmul(x.flatten(2), of_y.flatten(1).unsqueeze(2)).sum((0, 2))
    return torch.matmul(of_y.flatten(), x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]))


def mixing_matrices(weights: Tensor, layout: BankLayout) -> list[Tensor]:
    """Return per tile (parts * outputs, slots), of the weights of all bands, flattened and joined."""
    info = layout.info
    dense = weights.new_zeros(info.outputs * len(info.packets))
    dense = dense.index_copy(0, layout.weight_index, weights).view(info.outputs, -1)
    return [torch.matmul(dense[tile.outputs], tile.packets).flatten(0, 1) for tile in layout.tiles]


def mixing_weights(matrices: list[Tensor], layout: BankLayout) -> Tensor:
    """Apply the adjoint of `mixing_matrices`."""
    info = layout.info
    dense = matrices[0].new_zeros(info.outputs, len(info.packets))
    for matrix, tile in zip(matrices, layout.tiles, strict=True):
        by_part = matrix.view(info.parts, -1, matrix.shape[1])
        dense[tile.outputs] += torch.matmul(by_part, tile.packets.transpose(1, 2)).sum(0)
    return dense.flatten().index_select(0, layout.weight_index)


def filter_rows(y: Tensor, layout: BankLayout) -> Tensor:
    """Filter along the rows: (batch, H, W) to (batch, rows, wide * lanes * trees)."""
    axis = layout.along_rows
    padded = F.pad(y, layout.margins)
    batch, rows = padded.shape[:2]
    if axis.is_dense:
        return padded @ layout.row_kernel.flatten(1).t()
    blocks = padded.view(batch, rows, axis.total_blocks, axis.block).permute(0, 3, 1, 2)
    return F.conv2d(blocks, layout.row_kernel).permute(0, 2, 3, 1).flatten(2)


def unfilter_rows(h: Tensor, layout: BankLayout) -> Tensor:
    """Apply the adjoint of `filter_rows`."""
    axis = layout.along_rows
    if axis.is_dense:
        padded = h @ layout.row_kernel.flatten(1)
    else:
        blocks = h.unflatten(2, (axis.num_blocks, -1)).permute(0, 3, 1, 2)
        padded = F.conv_transpose2d(blocks, layout.row_kernel).permute(0, 2, 3, 1).flatten(2)
    left, right, top, bottom = layout.margins
    return F.pad(padded, (-left, -right, -top, -bottom))


def gather_blocks(h: Tensor, lanes: slice, layout: BankLayout) -> Tensor:
    """Put the rows of a block last: to (batch, blocks, wide * lanes, trees * block)."""
    block = layout.along_columns.block
    by_block = h.view(h.shape[0], layout.num_blocks, block, layout.wide, layout.lanes, layout.trees)
    blocks = by_block[..., lanes, :].permute(0, 1, 3, 4, 5, 2).contiguous()
    return blocks.view(h.shape[0], layout.num_blocks, -1, layout.trees * block)


def scatter_blocks(blocks: dict[tuple[int, int], Tensor], layout: BankLayout) -> Tensor:
    """Apply the adjoint of `gather_blocks`, of all lanes together: the first and the last by their blocks."""
    first = next(iter(blocks.values()))
    block = layout.along_columns.block
    shape = (first.shape[0], layout.num_blocks, block, layout.wide, layout.lanes, layout.trees)
    h = first.new_empty(shape)
    for (start, stop), part in blocks.items():
        by_lane = part.reshape(*shape[:2], layout.wide, stop - start, layout.trees, block)
        h[..., start:stop, :] = by_lane.permute(0, 1, 5, 2, 3, 4)
    return h.view(first.shape[0], layout.num_blocks * block, -1)


def filter_columns(blocks: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Filter along the columns, to slots.

    (batch, blocks, wide * lanes, trees * positions * filters), and of a single block
    (batch, high, wide, lanes * trees * filters).
    """
    axis, trees, batch = layout.along_columns, layout.trees, blocks.shape[0]
    if axis.is_dense:
        by_tree = blocks.view(-1, trees, axis.block).transpose(0, 1)
        kernel = tile.column_kernel.view(trees, -1, axis.block)
        slots = torch.bmm(by_tree, kernel.transpose(1, 2))
        slots = slots.view(trees, batch, layout.wide, tile.num_lanes, layout.high, tile.filters)
        return slots.permute(1, 4, 2, 3, 0, 5).flatten(3)
    slots = F.conv2d(
        blocks.permute(0, 3, 1, 2), tile.column_kernel, padding=(layout.padding, 0), groups=trees
    )
    return slots.permute(0, 2, 3, 1)


def unfilter_columns(slots: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Apply the adjoint of `filter_columns`."""
    axis, trees, batch = layout.along_columns, layout.trees, slots.shape[0]
    if axis.is_dense:
        shape = (batch, layout.high, layout.wide, tile.num_lanes, trees, tile.filters)
        by_tree = slots.reshape(shape).permute(4, 0, 2, 3, 1, 5)
        by_tree = by_tree.reshape(trees, -1, layout.high * tile.filters)
        blocks = torch.bmm(by_tree, tile.column_kernel.view(trees, -1, axis.block))
        return blocks.transpose(0, 1).reshape(batch, 1, -1, trees * axis.block)
    maps = slots.permute(0, 3, 1, 2)
    blocks = F.conv_transpose2d(
        maps, tile.column_kernel, padding=(layout.padding, 0), groups=trees
    )  # fmt: skip
    return blocks.permute(0, 2, 3, 1)


def mixing_kernel(mixing: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Return (positions * maps, trees * positions * filters, 1, lanes) of (maps, slots).

    Every position is an output of its own that takes nothing from the others: more multiplications
    than after a transposition of the slots, which would take longer.
    """
    positions = layout.along_columns.per_block
    by_slot = mixing.view(-1, tile.num_lanes, layout.trees, 1, tile.filters).permute(0, 2, 3, 4, 1)
    if positions == 1:
        return by_slot.reshape(mixing.shape[0], -1, 1, tile.num_lanes)
    same = torch.eye(positions, dtype=mixing.dtype, device=mixing.device)
    spread = by_slot * same[:, None, None, :, None, None]
    return spread.reshape(positions * mixing.shape[0], -1, 1, tile.num_lanes)


def mix(slots: Tensor, mixing: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Mix slots to (batch, high, wide, maps), the kept rows and columns still among others."""
    if layout.along_columns.is_dense:
        return slots @ mixing.t()
    positions = layout.along_columns.per_block
    mixed = F.conv2d(
        slots.permute(0, 3, 1, 2), mixing_kernel(mixing, tile, layout), stride=(1, tile.num_lanes)
    )  # fmt: skip
    by_position = mixed.permute(0, 2, 3, 1).unflatten(3, (positions, -1))
    return by_position.transpose(2, 3).reshape(slots.shape[0], layout.high, layout.wide, -1)


def unmix(gradient: Tensor, mixing: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Apply the adjoint of `mix` in the slots; the gradient is as `split_tiles` gives it."""
    if layout.along_columns.is_dense:
        return gradient @ mixing
    maps, kernel = gradient.permute(0, 3, 1, 2), mixing_kernel(mixing, tile, layout)
    return F.conv_transpose2d(maps, kernel, stride=(1, tile.num_lanes)).permute(0, 2, 3, 1)


def unmix_matrix(gradient: Tensor, slots: Tensor, tile: TileLayout, layout: BankLayout) -> Tensor:
    """Apply the adjoint of `mix` in the mixing, (maps, slots); the gradient as `split_tiles` gives it."""
    positions = layout.along_columns.per_block
    if layout.along_columns.is_dense:
        maps = gradient.shape[-1]
        return gradient.reshape(-1, maps).t() @ slots.reshape(-1, slots.shape[-1])
    maps = gradient.shape[-1] // positions
    channels = layout.trees * positions * tile.filters
    kernel = conv2d_weight(
        slots.permute(0, 3, 1, 2),
        (positions * maps, channels, 1, tile.num_lanes),
        gradient.permute(0, 3, 1, 2),
        stride=(1, tile.num_lanes),  # pyright: ignore[reportArgumentType]: annotated as an int only
    )
    kernel = kernel.view(positions, maps, layout.trees, positions, tile.filters, tile.num_lanes)
    by_slot = kernel.diagonal(dim1=0, dim2=3).sum(-1)
    return by_slot.permute(0, 3, 1, 2).reshape(maps, -1)


def join_tiles(mixed: list[Tensor], layout: BankLayout) -> list[Tensor]:
    """Return per part (batch, out_height, out_width, outputs): the kept pixels, tiles added up."""
    info = layout.info
    kept = [
        tile[:, layout.skip : layout.skip + info.out_height, : info.out_width].chunk(info.parts, 3)
        for tile in mixed
    ]
    if len(layout.tiles) == 1:
        return [part.contiguous() for part in kept[0]]
    return [_add_tiles([tile[part] for tile in kept], layout) for part in range(info.parts)]


def _add_tiles(tiles: list[Tensor], layout: BankLayout) -> Tensor:
    """Add tiles, each at its outputs, out of place where autograd follows."""
    if torch.is_grad_enabled():
        offsets = [tile.outputs for tile in layout.tiles]
        padded = [
            F.pad(tile, (offset.start, layout.info.outputs - offset.stop))
            for tile, offset in zip(tiles, offsets, strict=True)
        ]
        return torch.stack(padded).sum(0)
    result = tiles[0].new_empty(*tiles[0].shape[:3], layout.info.outputs)
    filled = 0
    by_start = sorted(zip(layout.tiles, tiles, strict=True), key=lambda pair: pair[0].outputs.start)
    for tile, values in by_start:
        start, stop = tile.outputs.start, tile.outputs.stop
        # Outputs between tiles' would stay unset: there are none, as every output takes a packet.
        shared = max(0, min(filled, stop) - start)
        result[..., start : start + shared] += values[..., :shared]
        result[..., start + shared : stop] = values[..., shared:]
        filled = max(filled, stop)
    return result


def split_tiles(gradients: list[Tensor], layout: BankLayout) -> list[Tensor]:
    """Apply the adjoint of `join_tiles`, and of the order that `mix` gives rows; zeros where nothing is kept.

    Per tile (batch, blocks, wide, positions * maps); of a single block (batch, high, wide, maps).
    """
    info = layout.info
    below = layout.high - layout.skip - info.out_height
    margins = (0, 0, 0, layout.wide - info.out_width, layout.skip, below)
    tiles: list[Tensor] = []
    for tile in layout.tiles:
        taken = [gradient[..., tile.outputs] for gradient in gradients]
        maps = taken[0] if len(taken) == 1 else torch.cat(taken, dim=3)
        maps = F.pad(maps, margins) if any(margins) else maps
        if not layout.along_columns.is_dense:
            by_position = maps.unflatten(1, (-1, layout.along_columns.per_block)).transpose(2, 3)
            maps = by_position.flatten(3).contiguous()
        tiles.append(maps)
    return tiles
