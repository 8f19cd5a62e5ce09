"""The straightforward dual-tree packets: the tree itself, stage by stage.

Written from the description of the transform, without the equivalent filters that the layers use: one
convolution a stage over the four trees and all their packets, groups = channels, no loop over packets.
It is the oracle of the fast stem, and what benchmarks/stem.py compares with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.bank.filters import (
    bank_padding,
    conjugation_signs,
    fixed_filters,
    qshift_taps,
)

TREES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Vertical and horizontal tree: aa, ab, ba, bb."""


def _children(taps: tuple[Tensor, Tensor], kind: str) -> tuple[Tensor, Tensor]:
    """Return the low and the high filter below a node: those of the primal or of the dual tree."""
    row = 1 if kind == "dual" else 0
    return taps[0][row], taps[1][row]


def _below(kind: str) -> tuple[str, str]:
    """Return the kinds of a node's children: below a high-pass all is primal."""
    return kind, "primal for good"


def stage_filters(levels: int, name: str) -> list[Tensor]:
    """Return per stage the four trees' two-dimensional filters, (4 * nodes * 4, 1, taps, taps).

    A node's children are in the order low-low, low-high, high-low, high-high, vertical first.
    """
    low, high = qshift_taps(name)
    first = (
        (F.pad(low[0], (2, 0)), F.pad(high[0], (0, 2))),
        (F.pad(low[0], (1, 1)), F.pad(-high[0], (1, 1))),
    )
    kinds = (("primal", "dual"), ("dual", "primal"))
    stages: list[Tensor] = []
    nodes = [[("root", "root")] for _ in TREES]
    for stage in range(levels):
        kernels: list[Tensor] = []
        for tree, (vertical, horizontal) in enumerate(TREES):
            below: list[tuple[str, str]] = []
            for kind_v, kind_h in nodes[tree]:
                if stage == 0:
                    filters_v, filters_h = first[vertical], first[horizontal]
                    next_v, next_h = kinds[vertical], kinds[horizontal]
                else:
                    filters_v = _children((low, high), kind_v)
                    filters_h = _children((low, high), kind_h)
                    next_v, next_h = _below(kind_v), _below(kind_h)
                kernels += [torch.outer(v, h) for v in filters_v for h in filters_h]
                below += [(v, h) for v in next_v for h in next_h]
            nodes[tree] = below
        stages.append(torch.stack(kernels).unsqueeze(1))
    return stages


class TreePackets(nn.Module):
    """As `DualTreePacketMaps`: (batch, channels, H, W) to a pair of (batch, channels * packets, ...)."""

    def __init__(
        self, levels: int, stride: int, filters: str = "qshift_a", imaginary: bool = True
    ) -> None:
        super().__init__()
        self.levels, self.stride, self.imaginary = levels, stride, imaginary
        taps = qshift_taps(filters).low.shape[1]
        self.padding = bank_padding(taps, levels, stride, 2)
        dtype = torch.get_default_dtype()
        for stage, kernels in enumerate(stage_filters(levels, filters)):
            self.register_buffer(f"stage{stage}", kernels.to(dtype), persistent=False)
        signs = conjugation_signs(fixed_filters("dtcwpt", filters, levels))
        self.register_buffer("signs", signs.to(dtype)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        batch, channels = x.shape[:2]
        maps = F.pad(x.flatten(0, 1).unsqueeze(1), (self.padding,) * 4)
        strided_stages, dilation = self.stride.bit_length() - 1, 1
        for stage in range(self.levels):
            maps = F.conv2d(
                maps,
                self.get_buffer(f"stage{stage}"),
                stride=2 if stage < strided_stages else 1,
                dilation=dilation,
                groups=maps.shape[1],
            )
            dilation *= 1 if stage < strided_stages else 2
        aa, ab, ba, bb = maps.chunk(4, dim=1)
        real = torch.cat((aa - bb, aa + bb), dim=1)
        imaginary = torch.cat((ba + ab, ba - ab), dim=1) * self.get_buffer("signs")
        parts = [part.unflatten(0, (batch, channels)).flatten(1, 2) for part in (real, imaginary)]
        return (parts[0], parts[1]) if self.imaginary else parts[0]
