"""A layer that is added, as a person would add it to wavetwin/runtime/layers/."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ChannelScale(nn.Module):
    """Multiplies each channel by a trainable number, 1 at first.

    Args:
        channels: channels of the input, (batch, channels, height, width).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def reset_parameters(self) -> None:
        """Set the weights to 1."""
        nn.init.ones_(self.weight)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the input times the channels' weights."""
        return x * self.weight.to(x.dtype)[:, None, None]
