"""Lay out the bank as the native kernel computes it: cascades of splits, lanes, slots.

The kernel (packets.h, whose first comment has the algorithm) takes a program of integers, taps, and a
matrix from slots to outputs. A lane is a vertical path of one tree; 8 lanes are a vector. A slot vector is
a vector of lanes filtered along the rows: by one horizontal path, each lane by its own tree's filters where
real parts are all that is wanted, else by those of either tree. Nothing is computed that no kept packet
takes: paths, and horizontal paths of a vector of lanes, are left out.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import outside_modes
from wavetwin.runtime.bank.filters import (
    conjugation_signs,
    fixed_filters,
    packet_paths,
    qshift_taps,
)
from wavetwin.runtime.bank.info import BankInfo

__all__ = ["LANES", "Program", "make_program"]

LANES = 8
"""Numbers in a vector of the kernel."""

Node = tuple[int, int]
"""A tree and the number of a path in it; of horizontal paths of several trees' lanes: tree -1."""


@dataclass(frozen=True, eq=False)
class Program:
    """What the kernel computes for one image size; constants, float64 where they are not integers."""

    numbers: Tensor
    """int64, in the order in which `Program` of packets.h reads them."""
    vertical_taps: Tensor
    """(taps, 8): of all vertical splits, one after the other; a tap is the same in all 8."""
    horizontal_taps: Tensor
    """(taps, 8): of all horizontal splits; a column is a lane."""
    packets: Tensor
    """(parts, packets, slots), 0 and +-1: the packets, real parts first, as sums of slots."""
    mask: Tensor
    """uint8, (slots, columns): where the matrix from slots to outputs may be other than zero."""
    slot_values: int
    """Slots of an image: numbers that may be kept for the backward pass."""
    unit_values: int
    """Of an image: the numbers over their moduli, which may be kept for the backward pass."""
    columns: int
    """Of the matrix: the outputs of each part, rounded up to whole vectors."""


@dataclass(frozen=True)
class _Stage:
    taps: int
    stride: int
    dilation: int


def stages_of(info: BankInfo) -> list[_Stage]:
    """Return each stage's taps, stride and dilation, on the grid of what the next one reads."""
    num_taps = qshift_taps(info.filters).low.shape[1]
    grids = [math.gcd(info.step, 2**stage) for stage in range(info.levels)] + [info.step]
    return [
        _Stage(
            taps=num_taps + 2 if stage == 0 else num_taps,
            stride=grids[stage + 1] // grids[stage],
            dilation=2**stage // grids[stage],
        )
        for stage in range(info.levels)
    ]


@functools.lru_cache(maxsize=64)
def make_program(info: BankInfo, height: int, width: int, colours: int) -> Program:
    """Return the program for images of a size; the last 64 are kept.

    Raises:
        ValueError: all that the info would read lies outside the image.
    """
    sizes = ((height, info.out_height), (width, info.out_width))
    for start, (size, outputs) in zip(info.starts, sizes, strict=True):
        length = fixed_filters("dtcwpt", info.filters, info.levels).shape[-1]
        stop = start + info.step * (outputs - 1) + length
        if start >= size or stop <= 0:
            raise ValueError(f"samples {start} to {stop - 1} are read of {size}: none of the image")
    with outside_modes():
        return _Layout(info).program(height, width, colours)


class _Layout:
    """Lanes, slots and splits of a bank."""

    def __init__(self, info: BankInfo) -> None:
        self.info = info
        self.taps = qshift_taps(info.filters)
        vertical, horizontal = (paths.tolist() for paths in packet_paths(info.levels))
        per_half = 4**info.levels
        self.paths = [(vertical[p % per_half], horizontal[p % per_half]) for p in info.packets]
        self.vectors = min(
            (self._vectors(by_first_stage) for by_first_stage in (False, True)),
            key=lambda vectors: sum(len(self._across(vector)) for vector in vectors),
        )
        self.leaves = [node for vector in self.vectors for node in vector]
        self.across = [self._across(vector) for vector in self.vectors]
        self.first_slots = [0]
        for nodes in self.across:
            self.first_slots.append(self.first_slots[-1] + len(nodes))

    def _vectors(self, by_first_stage: bool) -> list[list[Node]]:
        """Return the lanes of each vector, packed, or apart by the first stage's filter."""
        kept = sorted({vertical for vertical, _ in self.paths})
        top = self.info.levels - 1
        groups = (
            [[p for p in kept if p >> top == bit] for bit in (0, 1)] if by_first_stage else [kept]
        )
        vectors: list[list[Node]] = []
        for group in groups:
            lanes = [(tree, path) for tree in (0, 1) for path in group]
            vectors += [lanes[at : at + LANES] for at in range(0, len(lanes), LANES)]
        return vectors

    def _across(self, vector: list[Node]) -> list[Node]:
        """Return the horizontal paths that a vector's lanes need."""
        down = {path for _, path in vector}
        needed = sorted({across for vertical, across in self.paths if vertical in down})
        trees = (0, 1) if self.info.is_complex else (-1,)
        return [(tree, path) for tree in trees for path in needed]

    def program(self, height: int, width: int, colours: int) -> Program:
        """Return the program."""
        info = self.info
        stages = stages_of(info)
        per_part = -(-info.outputs // LANES)
        top, left = info.starts
        numbers = [
            height, width, colours, info.out_height, info.out_width, top, left, len(self.vectors),
            self.first_slots[-1], per_part * info.parts, info.outputs, info.parts,
            int(info.has_modulus), len(stages),
        ]  # fmt: skip
        for stage in stages:
            numbers += [stage.taps, stage.stride, stage.dilation]
        vertical, horizontal = _TapTable(), _TapTable()
        numbers += self._cascade(self.leaves, None, vertical)
        position = {node: index for index, node in enumerate(self.leaves)}
        for vector in self.vectors:
            lanes = [position[node] for node in vector]
            numbers += lanes + [-1] * (LANES - len(lanes))
        for first, vector, nodes in zip(self.first_slots, self.vectors, self.across, strict=False):
            numbers += [first, *self._cascade(nodes, vector, horizontal)]
        packets = self._packets()
        slots = self.first_slots[-1] * LANES
        takes = _mixing_pattern(info)
        reached = torch.einsum("op,cps->sco", takes, packets.abs()) > 0
        mask = torch.zeros(slots, info.parts, per_part * LANES, dtype=torch.uint8)
        mask[:, :, : info.outputs] = reached
        return Program(
            numbers=torch.tensor(numbers),
            vertical_taps=vertical.tensor(),
            horizontal_taps=horizontal.tensor(),
            packets=packets,
            mask=mask.flatten(1),
            slot_values=slots * info.out_height * info.out_width,
            unit_values=per_part * info.parts * LANES * info.out_height * info.out_width,
            columns=per_part * info.parts * LANES,
        )

    def _cascade(
        self, leaves: list[Node], vector: list[Node] | None, table: _TapTable
    ) -> list[int]:
        """Return per stage its number of nodes and its splits: parent, children, their taps.

        Args:
            leaves: nodes of the last stage, in order.
            vector: lanes that are filtered along the rows; None: columns are.
            table: where taps are kept.
        """
        levels = self.info.levels
        numbers: list[int] = []
        parents: dict[Node, int] = {}
        for stage in range(levels):
            shift = levels - 1 - stage
            nodes = list(dict.fromkeys((tree, path >> shift) for tree, path in leaves))
            index = {node: number for number, node in enumerate(nodes)}
            splits: list[list[int]] = []
            for tree, path in dict.fromkeys((tree, path >> 1) for tree, path in nodes):
                children = [index.get((tree, 2 * path + bit), -1) for bit in (0, 1)]
                taps = [
                    table.add(self._vector_taps(tree, stage, 2 * path + bit, vector))
                    for bit in (0, 1)
                ]
                splits.append([parents.get((tree, path), 0), *children, *taps])
            numbers += [len(nodes), len(splits), *chain(*splits)]
            parents = index
        return numbers

    def _vector_taps(self, tree: int, stage: int, path: int, vector: list[Node] | None) -> Tensor:
        """Return (taps, 8) of the split to a node; lanes that are not there have zeros."""
        trees = [tree] * LANES if vector is None or tree >= 0 else [lane for lane, _ in vector]
        columns = [self._node_taps(each, stage, path) for each in trees]
        columns += [torch.zeros_like(columns[0])] * (LANES - len(columns))
        return torch.stack(columns, dim=1)

    def _node_taps(self, tree: int, stage: int, path: int) -> Tensor:
        """Return the taps that lead to a node of a stage (arXiv:2212.00394)."""
        low, high = self.taps
        bit = path & 1
        if stage == 0:
            # The primal filters in both trees, one sample apart.
            if tree == 0:
                before, taps = (0, high[0]) if bit else (2, low[0])
            else:
                before, taps = (1, -high[0]) if bit else (1, low[0])
            return torch.nn.functional.pad(taps, (before, 2 - before))
        first, later = path >> stage, path >> 1 & (1 << stage - 1) - 1
        is_dual = (first == 1) == (tree == 0) and later == 0
        return (high if bit else low)[int(is_dual)]

    def _packets(self) -> Tensor:
        info = self.info
        signs = conjugation_signs(fixed_filters("dtcwpt", info.filters, info.levels))
        position: dict[tuple[Node, Node], int] = {}
        for first, vector, nodes in zip(self.first_slots, self.vectors, self.across, strict=False):
            for number, node in enumerate(nodes):
                for lane, down in enumerate(vector):
                    position[down, node] = (first + number) * LANES + lane
        result = torch.zeros(info.parts, len(info.packets), self.first_slots[-1] * LANES).double()
        for row, (packet, (down, across)) in enumerate(zip(info.packets, self.paths, strict=True)):
            half = 1.0 if packet >= 4**info.levels else -1.0
            terms = [(0, 0, 0, 1.0), (0, 1, 1, half)]
            if info.is_complex:
                sign = float(signs[packet])
                terms += [(1, 1, 0, sign), (1, 0, 1, -half * sign)]
            for part, tree_down, tree_across, value in terms:
                node = (tree_across if info.is_complex else -1, across)
                result[part, row, position[(tree_down, down), node]] = value
        return result


class _TapTable:
    """Taps of splits, each set kept once."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._length = 0
        self._starts: dict[tuple[float, ...], int] = {}

    def add(self, taps: Tensor) -> int:
        """Return the row at which these taps, (taps, 8), begin."""
        key = tuple(taps.flatten().tolist())
        if key not in self._starts:
            self._starts[key] = self._length
            self._rows.append(taps)
            self._length += len(taps)
        return self._starts[key]

    def tensor(self) -> Tensor:
        """Return all rows."""
        return torch.cat(self._rows)


def _mixing_pattern(info: BankInfo) -> Tensor:
    """Return (outputs, packets), 1 where an output takes a packet."""
    blocks = [
        torch.ones(outputs // groups, inputs // groups)
        for inputs, outputs, groups in info.bands
        for _ in range(groups)
    ]
    return torch.block_diag(*blocks).double()
