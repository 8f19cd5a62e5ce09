"""The invariant layer as a tree of plain operations: what one would write without wavetwin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.wavelets import dual_tree


class TreeInvariant(nn.Module):
    """Rows by two filters, columns of both by two again, quads, moduli, means, a 1x1 convolution."""

    filters: Tensor

    def __init__(self, channels: int, outputs: int, smoothing: float = 1e-2) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.mixing = nn.Conv2d(7 * channels, outputs, 1)
        filters = dual_tree.level1_filters("near_sym_a")[0]
        self.register_buffer("filters", filters.to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed moduli of (batch, channels, height, width), of even sizes."""
        bands = dual_tree.analyse_level1(x, self.filters)
        low = F.avg_pool2d(bands[:, :, 0], 2)
        real, imaginary = dual_tree.quads_to_parts(bands[:, :, 1:])
        squares = real.square() + imaginary.square() + self.smoothing**2
        moduli = squares.sqrt() - self.smoothing
        return self.mixing(torch.cat((low, moduli.transpose(1, 2).flatten(1, 2)), 1))
