"""Scatter images: moduli of dual-tree wavelets, smoothed; nothing to learn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.moduli import Level1, smooth_maps, split_moduli
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets import dual_tree

MAX_ORDER = 2


@dataclass(frozen=True, slots=True)
class ScatteringPath:
    """How one output of every channel came about."""

    levels: tuple[int, ...]
    """Where a modulus was taken, from 1, the finest; elsewhere the map was smoothed."""
    angles: tuple[int, ...]
    """Of each modulus, in degrees: the direction of the stripes that it sees."""

    @property
    def order(self) -> int:
        """Number of moduli."""
        return len(self.levels)


def scattering_paths(levels: int, order: int) -> tuple[ScatteringPath, ...]:
    """Return the paths in the order of the output: smoothed ones first, then angle by angle."""
    paths = [ScatteringPath((), ())]
    for level in range(1, levels + 1):
        paths += [
            ScatteringPath((*path.levels, level), (*path.angles, angle))
            for angle in dual_tree.ANGLES
            for path in paths
            if path.order < order
        ]
    return tuple(paths)


class Scattering2d(ByKernel, ConstantBuffers):
    """Scattering coefficients of each channel, up to order 2, at any depth.

    Real `(batch, channels, height, width)` to `(batch, paths * channels, height / 2**levels,
    width / 2**levels)`, sizes rounded up level by level (an odd map repeats its last line), path by
    path as `paths` says. A level is one dual-tree level: the low band, averaged in 2x2 windows, and the
    modulus of the six complex bands. The next level splits all of them again; paths of the highest
    order are only smoothed. There are sum over k up to `order` of binomial(levels, k) * 6**k paths.

    Sources: Bruna and Mallat 2013, doi:10.1109/TPAMI.2012.230; Cotter and Kingsbury 2017,
    arXiv:1709.01355; the layer of the learnable ScatterNet, arXiv:1903.03137, without its mixing.

    Args:
        levels: J, 1 or more.
        order: 0 to 2: how many moduli a path may have.
        bias: how smooth a modulus is: sqrt(|z|^2 + bias^2) - bias; 0 has gradient 0 at 0.
        level1: filters, a name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`.
        mode: a name of `wavetwin.ir.wavelets.BOUNDARY_MODES`; published are symmetric and zero.

    Raises:
        ValueError: an argument is out of range.
    """

    filters: Tensor

    def __init__(
        self,
        levels: int = 2,
        order: int = 2,
        bias: float = 1e-2,
        level1: str = "near_sym_a",
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"{levels} levels: 1 or more are needed")
        if not 0 <= order <= MAX_ORDER:
            raise ValueError(f"order {order}: 0 to {MAX_ORDER} are supported")
        self.levels = levels
        self.order = order
        self.level = Level1(level1, mode, bias)
        self.paths = scattering_paths(levels, order)
        self.register_constant("filters", dual_tree.level1_filters(level1)[0])

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch maps out_height out_width"]:
        """Return the maps of every path of every channel."""
        return keep_layout(x, rounded_once(self._scatter, x))

    def _scatter(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        for level in range(self.levels):
            orders = [path.order for path in scattering_paths(level, self.order)]
            x = self._one_level(x, [order < self.order for order in orders], channels)
        return x

    def _one_level(self, x: Tensor, is_open: list[bool], channels: int) -> Tensor:
        """Return the next level of (batch, paths * channels, height, width)."""
        if all(is_open):
            return split_moduli(x, self.filters, self.level, self.native).flatten(1, 2)
        smoothed = smooth_maps(x, self.filters, self.level)
        if not any(is_open):
            return smoothed
        by_path = x.unflatten(1, (len(is_open), channels))
        at = [index for index, flag in enumerate(is_open) if flag]
        opened = torch.stack([by_path[:, index] for index in at], 1).flatten(1, 2)
        moduli = split_moduli(opened, self.filters, self.level, self.native)[:, 1:]
        return torch.cat((smoothed, moduli.flatten(1, 2)), 1)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return (
            f"levels={self.levels}, order={self.order}, bias={self.level.bias}, "
            f"{self.level.filters}, mode={self.level.mode!r}"
        )
