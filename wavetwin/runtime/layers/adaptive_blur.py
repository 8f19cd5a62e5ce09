"""Blur with kernels predicted from the map itself (PASA)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.blur import pad_by_reflection
from wavetwin.runtime.layers.pieces import (
    images_at_once,
    is_channels_last,
    is_piecewise,
    map_images,
    put_channels_last,
)
from wavetwin.runtime.layers.pixel_filter import filter_pixels
from wavetwin.runtime.layers.plain import is_every_call_watched, is_plain, is_plain_conv
from wavetwin.runtime.layers.traced import Layer


class AdaptiveBlur(Layer):
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
        self.channels, self.size, self.stride = channels, size, stride
        self.groups, self.normalise = groups, normalise
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
        """Return the filtered maps at the kept positions, filtered there only.

        In training the normalisation needs the kernels of every pixel; in evaluation they are
        computed at the kept positions only, with the normalisation folded into the convolution.
        """
        if not is_piecewise(x):
            return self._filter(x)
        # A convolution, and what follows it here, is faster with the channels last.
        maps = put_channels_last(x)
        takes_all = not self._is_fixed() or (torch.is_grad_enabled() and self._is_differentiated(x))
        if takes_all:
            pooled = self._filter(maps)
        else:
            pooled = map_images(self._filter, images_at_once(x), maps)
        return pooled if is_channels_last(x) else pooled.contiguous()

    def _filter(self, x: Tensor) -> Tensor:
        padded = pad_by_reflection(x, self.size)
        kernels = self._logits(padded)
        if self.normalise == "joint":
            kernels = kernels.softmax(dim=1)
        else:
            by_group = (self.groups, self.size**2)
            kernels = kernels.unflatten(1, by_group).softmax(dim=2).flatten(1, 2)
        return filter_pixels(padded, kernels.to(x.dtype), self.groups, self.size, self.stride)

    def _logits(self, padded: Tensor) -> Tensor:
        """Return the normalised kernels before the softmax, at the kept positions."""
        conv, norm = self.conv, self.norm
        # Without memory nothing is computed and all is counted: the graph as it is written.
        if padded.is_meta or not self._is_fixed():
            # As a slice would; but the derivative of a slice comes with its channels first in memory,
            # which slows down everything before it.
            return F.avg_pool2d(norm(conv(padded)), 1, self.stride)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        weight = conv.weight * scale[:, None, None, None]
        return F.conv2d(padded, weight, shift, stride=self.stride)

    def _is_fixed(self) -> bool:
        """Return whether the normalisation is constant and may be folded into the convolution.

        Not where either is no longer what was made here, or hooks are to see their calls.
        """
        norm, size = self.norm, self.size
        return (
            not is_every_call_watched()
            and is_plain(norm, nn.BatchNorm2d, nn.SyncBatchNorm)
            and not norm.training
            and norm.running_mean is not None
            and norm.running_var is not None
            and norm.affine
            and is_plain_conv(self.conv, self.channels, self.groups * size * size, size)
        )

    def _is_differentiated(self, x: Tensor) -> bool:
        return x.requires_grad or any(p.requires_grad for p in self.parameters())

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"size={self.size}, stride={self.stride}, groups={self.groups}, "
            f"normalise={self.normalise}"
        )
