"""Lay out the bank as the native kernel computes it: cascades of splits, slots, packets.

The kernel (packets.h, whose first comment has the algorithm) takes a program of integers and the constants
of the splits. A leaf is a vertical path of one tree; a slot is a leaf filtered along the rows by a horizontal
path: of its own tree where real parts are all that is wanted, else of either tree. Nothing is computed that no
kept packet takes.
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
from wavetwin.runtime.bank.native.lattice import make_lattices

__all__ = ["LANES", "Program", "make_program"]

LANES = 8
"""Numbers in a vector of the kernel."""

PAIRS = (5, 7, 8, 9)
"""Pairs of taps of the lattices that the kernel has: those of all q-shift filters."""

Node = tuple[int, int]
"""A tree and the number of a path in it."""


@dataclass(frozen=True, eq=False)
class Program:
    """What the kernel computes for one image size."""

    numbers: Tensor
    """int64, in the order in which `Program` of packets.h reads them."""
    values: Tensor
    """float64: what the lattices' gain of an axis is undone by, then tangents and taps of the splits."""
    slots: int
    """Maps that the horizontal cascades give."""
    packet_values: int
    """Parts of packets of an image, in whole vectors: numbers that may be kept for the backward pass."""
    unit_values: int
    """Of an image: the numbers over their moduli, which may be kept for the backward pass."""


@dataclass(frozen=True)
class _Stage:
    taps: int
    stride: int
    dilation: int
    pairs: int
    """Of the taps of a lattice, 0 where its steps are not those of one."""


def stages_of(info: BankInfo) -> list[_Stage]:
    """Return each stage's taps, stride and dilation, on the grid of what the next one reads."""
    num_taps = qshift_taps(info.filters).low.shape[1]
    grids = [math.gcd(info.step, 2**stage) for stage in range(info.levels)] + [info.step]
    stages: list[_Stage] = []
    for stage in range(info.levels):
        stride, dilation = grids[stage + 1] // grids[stage], 2**stage // grids[stage]
        # Neighbouring pairs of inputs have to be those of one output or another.
        has_lattice = stride == 1 or (stride == 2 and dilation == 1)
        taps = num_taps + 2 if stage == 0 else num_taps
        stages.append(_Stage(taps, stride, dilation, num_taps // 2 if has_lattice else 0))
    return stages


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
    """Leaves, slots and splits of a bank."""

    def __init__(self, info: BankInfo) -> None:
        self.info = info
        self.taps = qshift_taps(info.filters)
        self.lattices = make_lattices(info.filters)
        self.stages = stages_of(info)
        vertical, horizontal = (paths.tolist() for paths in packet_paths(info.levels))
        per_half = 4**info.levels
        self.paths = [(vertical[p % per_half], horizontal[p % per_half]) for p in info.packets]
        down = sorted({vertical for vertical, _ in self.paths})
        self.leaves: list[Node] = [(tree, path) for tree in (0, 1) for path in down]
        self.lines: list[tuple[int, list[Node]]] = []
        """A leaf's number, and the horizontal nodes of one tree that it needs."""
        for leaf, (tree, path) in enumerate(self.leaves):
            needed = sorted({across for vertical, across in self.paths if vertical == path})
            for other in (0, 1) if info.is_complex else (tree,):
                self.lines.append((leaf, [(other, across) for across in needed]))

    def program(self, height: int, width: int, colours: int) -> Program:
        """Return the program."""
        info = self.info
        top, left = info.starts
        slots = sum(len(nodes) for _, nodes in self.lines)
        groups = self._groups()
        num_weights = sum(inputs * outputs for _, inputs, _, outputs, _ in groups)
        numbers = [
            height, width, colours, info.out_height, info.out_width, top, left, info.outputs,
            info.parts, int(info.has_modulus), int(self.lattices.is_crossed), slots,
            len(info.packets), num_weights, len(self.stages),
        ]  # fmt: skip
        for stage in self.stages:
            numbers += [stage.taps, stage.stride, stage.dilation, stage.pairs]
        table = _Table()
        table.add([self.lattices.gain**-info.levels])
        numbers += self._cascade(self.leaves, table)
        cascades: dict[tuple[int, ...], int] = {}
        lines: list[int] = []
        first_slot = 0
        for leaf, nodes in self.lines:
            cascade = tuple(self._cascade(nodes, table))
            lines += [leaf, cascades.setdefault(cascade, len(cascades)), first_slot]
            first_slot += len(nodes)
        numbers += [len(cascades), *chain(*cascades), len(self.lines), *lines]
        numbers += [*self._packets(), len(groups), *chain(*groups)]
        rows = -(-info.out_height // LANES) * LANES
        return Program(
            numbers=torch.tensor(numbers),
            values=torch.tensor(table.values, dtype=torch.float64),
            slots=slots,
            packet_values=len(info.packets) * info.parts * rows * info.out_width,
            unit_values=2 * info.outputs * rows * info.out_width if info.has_modulus else 0,
        )

    def _cascade(self, leaves: list[Node], table: _Table) -> list[int]:
        """Return per stage its number of nodes and its splits, as packets.h has them.

        Args:
            leaves: nodes of the last stage, in order.
            table: where constants are kept.
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
                constants = self._constants(tree, stage, path, children, table)
                splits.append([parents.get((tree, path), 0), *constants])
            numbers += [len(nodes), len(splits), *chain(*splits)]
            parents = index
        return numbers

    def _constants(
        self, tree: int, stage: int, path: int, children: list[int], table: _Table
    ) -> list[int]:
        """Return a split's children, where their constants are, and where these begin to read.

        Args:
            tree: of the node.
            stage: of its children.
            path: of the node.
            children: low-pass and high-pass, -1 where nobody takes one.
            table: where constants are kept.
        """
        starts = _first_starts(tree) if stage == 0 else (0, 0)
        pairs = self.stages[stage].pairs
        if pairs == 0:
            at = [table.add(self._taps(tree, stage, 2 * path + bit)) for bit in (0, 1)]
            return [*children, *at, 0, 0, 0]
        assert pairs in PAIRS
        lattice = self.lattices.of_trees[self._filter(tree, stage, path)]
        late = [(start - min(starts)) // 2 for start in starts]
        if lattice.is_swapped:
            children, late = children[::-1], late[::-1]
        at = table.add(list(lattice.turns))
        return [*children, at, at, min(starts), *late]

    def _filter(self, tree: int, stage: int, path: int) -> int:
        """Return which tree's filters split a node, the children of which are of a stage (arXiv:2212.00394)."""
        if stage == 0:
            return 0  # the primal filters in both trees, one sample apart
        first, later = path >> stage - 1, path & (1 << stage - 1) - 1
        return int((first == 1) == (tree == 0) and later == 0)

    def _taps(self, tree: int, stage: int, path: int) -> list[float]:
        """Return the taps that lead to a node of a stage, times the gain of a lattice."""
        bit = path & 1
        taps = self.taps[bit][self._filter(tree, stage, path >> 1)] * self.lattices.gain
        if stage == 0:
            start = _first_starts(tree)[bit]
            taps = torch.nn.functional.pad(taps, (start, 2 - start))
            taps = -taps if tree == 1 and bit == 1 else taps
        return taps.tolist()

    def _sign(self, tree: int, path: int) -> int:
        """Return the sign that the lattices' outputs leave to a path."""
        sign = 1.0
        for stage, described in enumerate(self.stages):
            node = path >> self.info.levels - 1 - stage
            if described.pairs > 0:
                lattice = self.lattices.of_trees[self._filter(tree, stage, node >> 1)]
                sign *= lattice.signs[node & 1]
                if stage == 0 and tree == 1 and node & 1:
                    sign = -sign
        return int(sign)

    def _packets(self) -> list[int]:
        """Return of each packet's parts two slots, then their signs."""
        info = self.info
        signs = conjugation_signs(fixed_filters("dtcwpt", info.filters, info.levels))
        position: dict[tuple[Node, Node], int] = {}
        for leaf, nodes in self.lines:
            for node in nodes:
                position[self.leaves[leaf], node] = len(position)
        numbers: list[int] = []
        for packet, (down, across) in zip(info.packets, self.paths, strict=True):
            half = 1 if packet >= 4**info.levels else -1
            sign = int(signs[packet])
            real = [(0, 0, 1), (1, 1, half)]
            imaginary = [(1, 0, sign), (0, 1, -half * sign)]
            for terms in (real, imaginary)[: info.parts]:
                pairs = [((tree, down), (other, across), value) for tree, other, value in terms]
                numbers += [position[node, other] for node, other, _ in pairs]
                numbers += [
                    value * self._sign(*node) * self._sign(*other) for node, other, value in pairs
                ]
        return numbers

    def _groups(self) -> list[list[int]]:
        """Return of each group of the mixing its first packet, packets, first output, outputs and first weight."""
        found: list[list[int]] = []
        packet = output = weight = 0
        for inputs, outputs, groups in self.info.bands:
            for _ in range(groups):
                per_group = inputs // groups, outputs // groups
                found.append([packet, per_group[0], output, per_group[1], weight])
                packet, output = packet + per_group[0], output + per_group[1]
                weight += per_group[0] * per_group[1]
        return found


def _first_starts(tree: int) -> tuple[int, int]:
    """Return where the first stage's low-pass and high-pass filter begin: the trees are a sample apart."""
    return (2, 0) if tree == 0 else (1, 1)


class _Table:
    """Constants of splits, each set kept once."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._starts: dict[tuple[float, ...], int] = {}

    def add(self, values: list[float]) -> int:
        """Return the position at which these begin."""
        start = self._starts.setdefault(tuple(values), len(self.values))
        if start == len(self.values):
            self.values += values
        return start
