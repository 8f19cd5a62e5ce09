"""Blurring with kernels predicted from the map itself (PASA)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavetwin.runtime.layers.blur import pad_by_reflection
from wavetwin.runtime.shapes import Float


class AdaptiveBlur(nn.Module):
    """Filters each group of channels with a kernel of its own at every pixel, then subsamples.

    `(batch, channels, height, width)` to
    `(batch, channels, ceil(height / stride), ceil(width / stride))`. The map is padded by reflection
    once (before: (size - 1) // 2, after: size // 2). A convolution without bias reads the padded map
    and gives groups * size^2 maps, map `g * size^2 + t` the weight of tap t, row by row, for the g-th
    block of channels; then batch normalisation and a softmax.

    Source: Zou et al. 2020, arXiv:2008.09604.

    Args:
        channels: channels of the input.
        size: height and width of the kernels, 2 to 7.
        stride: step of the output.
        groups: blocks of channels that share kernels; divides the channels.
        normalise: `joint` takes the softmax over the maps of all groups together, as the published
            weights were trained (a constant comes out divided by the number of groups);
            `per_group` over each group's taps.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        channels: int,
        size: int = 3,
        stride: int = 2,
        groups: int = 8,
        normalise: str = "joint",
    ) -> None:
        super().__init__()
        if not 2 <= size <= 7:
            raise ValueError(f"blur size {size}: 2 to 7 are supported")
        if groups < 1 or channels % groups:
            raise ValueError(f"{groups} groups do not divide {channels} channels")
        if normalise not in ("joint", "per_group"):
            raise ValueError(f"normalise {normalise!r}: one of joint, per_group")
        self.size, self.stride, self.groups, self.normalise = size, stride, groups, normalise
        self.conv = nn.Conv2d(channels, groups * size * size, size, bias=False)
        self.norm = nn.BatchNorm2d(groups * size * size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolution's weights (kaiming normal, fan out); reset the normalisation."""
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.norm.reset_parameters()

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the filtered maps at the kept positions, filtered there only."""
        padded = pad_by_reflection(x, self.size)
        kernels = self.norm(self.conv(padded))[..., :: self.stride, :: self.stride]
        by_group = (self.groups, self.size**2)
        if self.normalise == "joint":
            kernels = kernels.softmax(dim=1).unflatten(1, by_group)
        else:
            kernels = kernels.unflatten(1, by_group).softmax(dim=2)
        return self._filter(padded, kernels.to(x.dtype), x.shape)

    def _filter(self, padded: Tensor, kernels: Tensor, shape: torch.Size) -> Tensor:
        """Correlate with kernels (batch, groups, taps, H', W'), one tap after the other."""
        grouped = padded.unflatten(1, (self.groups, shape[1] // self.groups))
        total: Tensor | None = None
        for row in range(self.size):
            for column in range(self.size):
                window = grouped[
                    ...,
                    row : row + shape[2] : self.stride,
                    column : column + shape[3] : self.stride,
                ]
                term = window * kernels[:, :, row * self.size + column].unsqueeze(2)
                total = term if total is None else total + term
        assert total is not None
        return total.flatten(1, 2)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"size={self.size}, stride={self.stride}, groups={self.groups}, "
            f"normalise={self.normalise}"
        )
