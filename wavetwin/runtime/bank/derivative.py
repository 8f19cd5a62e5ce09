"""Compute the bank with its gradients, chunk by chunk, keeping no more than is worth its memory.

Plain autograd would keep every slot (1.6 MB an image for AwyI, 6.3 for Azh3wyI). Here the backward
pass computes again what was not kept, with the adjoints of `wavetwin.runtime.bank.maps`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank import maps
from wavetwin.runtime.bank.layout import BankLayout

KEPT_BYTES = 10**6
"""What the bank keeps for the backward pass, at most, an image."""

Lanes = tuple[int, int]
"""First lane of a tile, and the one after its last."""

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def mixed_maps(
    x: Tensor, weights: Tensor, colour: Tensor | None, layout: BankLayout
) -> list[Tensor]:
    """Return per part (batch, out_height, out_width, outputs) in operations that autograd follows.

    Args:
        x: (batch, colours, height, width).
        weights: mixing weights of all bands, flattened and joined.
        colour: (1, colours, 1, 1), or None for one channel.
        layout: made for the height, width, type and device of `x`.
    """
    return _compute(x, maps.mixing_matrices(weights, layout), colour, layout, _KeepNothing())


class _KeepNothing:
    """Takes what a pass computes and keeps nothing."""

    def add(self, name: Hashable, value: Tensor) -> None:
        """Keep a tensor under a name, or not."""


class _Keep(_KeepNothing):
    """Keeps what has one of the names."""

    def __init__(self, names: Sequence[Hashable]) -> None:
        self.names = names
        self.values: dict[Hashable, Tensor] = {}

    def add(self, name: Hashable, value: Tensor) -> None:
        if name in self.names:
            self.values[name] = value


def worth_keeping(layout: BankLayout, room: int) -> list[Hashable]:
    """Return the names of what to keep for the backward pass: slots of tiles, blocks of lanes.

    Blocks, which spare the passes before them, first; then, in their place, the slots that are made
    of them, which spare all.

    Args:
        layout: as in `mixed_maps`.
        room: bytes an image.
    """
    item = layout.row_kernel.element_size()
    names: list[Hashable] = []
    by_lanes: dict[Lanes, list[int]] = {}
    for index, tile in enumerate(layout.tiles):
        by_lanes.setdefault((tile.lanes.start, tile.lanes.stop), []).append(index)
    for lanes in by_lanes:
        size = layout.lane_values * (lanes[1] - lanes[0]) // layout.lanes * item
        if size <= room:
            names.append(lanes)
            room -= size
    for lanes, tiles in by_lanes.items():
        freed = layout.lane_values * (lanes[1] - lanes[0]) // layout.lanes * item * (lanes in names)
        size = sum(layout.tile_values(layout.tiles[index]) for index in tiles) * item
        if size <= room + freed:
            names = [name for name in names if name != lanes] + list(tiles)
            room -= size - freed
    return names


def compute(
    x: Tensor, weights: Tensor, colour: Tensor | None, layout: BankLayout, names: Sequence[Hashable]
) -> tuple[list[Tensor], list[dict[Hashable, Tensor]]]:
    """Return what `mixed_maps` does, and per chunk of the batch what is named.

    Args:
        x: as in `mixed_maps`.
        weights: as in `mixed_maps`.
        colour: as in `mixed_maps`.
        layout: as in `mixed_maps`.
        names: what to keep, as `worth_keeping` says.
    """
    mixing = maps.mixing_matrices(weights, layout)
    outputs: list[list[Tensor]] = []
    kept: list[dict[Hashable, Tensor]] = []
    for chunk in x.tensor_split(layout.chunks(x.shape[0])):
        keep = _Keep(names)
        outputs.append(_compute(chunk, mixing, colour, layout, keep))
        kept.append(keep.values)
    if len(outputs) == 1:
        return outputs[0], kept
    return [torch.cat(parts) for parts in zip(*outputs, strict=True)], kept


def _compute(
    x: Tensor, mixing: list[Tensor], colour: Tensor | None, layout: BankLayout, keep: _KeepNothing
) -> list[Tensor]:
    h = maps.filter_rows(maps.luminance(x, colour), layout)
    blocks: dict[Lanes, Tensor] = {}
    mixed: list[Tensor] = []
    for index, (tile, matrix) in enumerate(zip(layout.tiles, mixing, strict=True)):
        lanes = (tile.lanes.start, tile.lanes.stop)
        if lanes not in blocks:
            blocks = {lanes: maps.gather_blocks(h, tile.lanes, layout)}
            keep.add(lanes, blocks[lanes])
        slots = maps.filter_columns(blocks[lanes], tile, layout)
        keep.add(index, slots)
        mixed.append(maps.mix(slots, matrix, tile, layout))
    return maps.join_tiles(mixed, layout)


def gradients(
    gradient: Sequence[Tensor],
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    layout: BankLayout,
    kept: Sequence[dict[Hashable, Tensor]],
    needed: tuple[bool, bool, bool],
) -> Gradients:
    """Return the gradients of x, weights and colour where they are needed.

    Args:
        gradient: per part of the result, (batch, out_height, out_width, outputs).
        x: as in `mixed_maps`.
        weights: as in `mixed_maps`.
        colour: as in `mixed_maps`.
        layout: as in `mixed_maps`.
        kept: what `compute` kept.
        needed: of which of the three.
    """
    needs_x, needs_weights, needs_colour = needed
    mixing = maps.mixing_matrices(weights, layout)
    of_mixing = [torch.zeros_like(matrix) for matrix in mixing]
    of_x: list[Tensor] = []
    of_colour = None if colour is None else torch.zeros_like(colour).flatten()
    num_chunks = layout.chunks(x.shape[0])
    parts = zip(*(part.tensor_split(num_chunks) for part in gradient), strict=True)
    for chunk, of_parts, values in zip(x.tensor_split(num_chunks), parts, kept, strict=True):
        of_tiles = maps.split_tiles(list(of_parts), layout)
        if needs_weights:
            for total, of_matrix in zip(
                of_mixing, _of_matrices(of_tiles, chunk, colour, layout, values), strict=True
            ):
                total += of_matrix
        if not (needs_x or needs_colour):
            continue
        of_blocks: dict[Lanes, Tensor] = {}
        for tile, matrix, of_tile in zip(layout.tiles, mixing, of_tiles, strict=True):
            lanes = (tile.lanes.start, tile.lanes.stop)
            blocks = maps.unfilter_columns(maps.unmix(of_tile, matrix, tile, layout), tile, layout)
            of_blocks[lanes] = of_blocks[lanes].add_(blocks) if lanes in of_blocks else blocks
        of_y = maps.unfilter_rows(maps.scatter_blocks(of_blocks, layout), layout)
        if of_colour is not None and needs_colour:
            of_colour += maps.luminance_weights(of_y, chunk)
        if needs_x:
            of_x.append(of_y.unsqueeze(1) * (1.0 if colour is None else colour))
    return (
        torch.cat(of_x) if needs_x else None,
        maps.mixing_weights(of_mixing, layout) if needs_weights else None,
        of_colour.view_as(colour) if of_colour is not None and colour is not None else None,
    )


def _of_matrices(
    of_tiles: list[Tensor],
    x: Tensor,
    colour: Tensor | None,
    layout: BankLayout,
    kept: dict[Hashable, Tensor],
) -> Iterator[Tensor]:
    """Yield the gradients of the tiles' mixing, from slots that are kept or computed again."""
    h: Tensor | None = None
    blocks: dict[Lanes, Tensor] = {}
    for index, (tile, of_tile) in enumerate(zip(layout.tiles, of_tiles, strict=True)):
        lanes = (tile.lanes.start, tile.lanes.stop)
        slots = kept.get(index)
        if slots is None:
            if lanes in kept:
                blocks = {lanes: kept[lanes]}
            elif lanes not in blocks:
                h = maps.filter_rows(maps.luminance(x, colour), layout) if h is None else h
                blocks = {lanes: maps.gather_blocks(h, tile.lanes, layout)}
            slots = maps.filter_columns(blocks[lanes], tile, layout)
        yield maps.unmix_matrix(of_tile, slots, tile, layout)


class MixedMaps(torch.autograd.Function):
    """`mixed_maps` in chunks, with an explicit adjoint; twice differentiable.

    Takes (x, weights, colour, layout, kept_bytes) as `compute` does; gives the real parts, and the
    imaginary parts after them where there are any, (batch, out_height, out_width, outputs) each.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        colour: Tensor | None,
        layout: BankLayout,
        kept_bytes: int,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Compute the maps."""
        with torch.autocast(x.device.type, enabled=False):
            # Only the gradient of the weights reads them.
            names = worth_keeping(layout, kept_bytes if ctx.needs_input_grad[1] else 0)
            result, kept = compute(x, weights, colour, layout, names)
        ctx.layout = layout
        ctx.kept_names = [list(values) for values in kept]
        flat = [value for values in kept for value in values.values()]
        ctx.save_for_backward(x, weights, colour, *flat)
        return (result[0], result[1]) if layout.info.is_complex else result[0]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients; those of a second derivative through `mixed_maps`."""
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        (x, weights, colour), flat = saved[:3], iter(saved[3:])
        layout: BankLayout = ctx.layout
        needed = tuple(ctx.needs_input_grad[:3])
        with torch.autocast(x.device.type, enabled=False):
            if torch.is_grad_enabled():
                # Views, so that the derivatives of inputs that depend on each other stay apart.
                x, weights = x.view_as(x), weights.view_as(weights)
                colour = None if colour is None else colour.view_as(colour)
                inputs: tuple[Any, ...] = (x, weights, colour)
                wanted = [
                    value for value, is_needed in zip(inputs, needed, strict=True) if is_needed
                ]
                result = mixed_maps(x, weights, colour, layout)
                found = iter(torch.autograd.grad(result, wanted, gradient, create_graph=True))
                of_inputs = tuple(next(found) if is_needed else None for is_needed in needed)
            else:
                kept = [{name: next(flat) for name in names} for names in ctx.kept_names]
                of_inputs = gradients(gradient, x, weights, colour, layout, kept, needed)
        return *of_inputs, None, None
