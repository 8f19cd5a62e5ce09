"""The modulus of complex packets, and what normalises it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavetwin.runtime.layers.parts import Parts, split_parts
from wavetwin.runtime.shapes import Float


def modulus(real: Tensor, imaginary: Tensor, bias: float = 0.0) -> Tensor:
    """Return sqrt(real^2 + imaginary^2 + bias^2) - bias, of the type of `real`.

    A positive bias makes it smooth; without one the gradient is 0 where both parts are 0 (a black
    image). Twice differentiable, also at 0. Half-precision inputs are squared in float32.

    Args:
        real: real parts, of any shape.
        imaginary: imaginary parts, of the same shape.
        bias: not negative; about the modulus below which values are noise.
    """
    dtype = real.dtype
    if dtype in (torch.float16, torch.bfloat16):
        real, imaginary = real.float(), imaginary.float()
    squares = real.square() + imaginary.square()
    if bias > 0:
        # The same as root - bias, without subtracting nearly equal numbers.
        return (squares / ((squares + bias**2).sqrt() + bias)).to(dtype)
    is_zero = squares == 0
    # The square root never sees a zero, whose infinite slope would give 0 * inf = NaN.
    root = torch.where(is_zero, 1.0, squares).sqrt()
    return torch.where(is_zero, 0.0, root).to(dtype)


class Modulus(nn.Module):
    """Complex maps (a complex tensor or a pair) to their modulus, real, of the same shape.

    Args:
        bias: smooths it: `sqrt(|x|^2 + bias^2) - bias`.

    Raises:
        ValueError: the bias is negative.
    """

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        if not bias >= 0:
            raise ValueError(f"bias {bias}: 0 or more is needed")
        self.bias = bias

    def forward(self, x: Tensor | Parts) -> Tensor:
        """Return the modulus."""
        return modulus(*split_parts(x), self.bias)

    def extra_repr(self) -> str:
        """Return the bias where there is one."""
        return f"bias={self.bias}" if self.bias else ""


class ChannelBias(nn.Module):
    """Adds one trainable number, 0 at first, to each of `channels` channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the biases to 0."""
        nn.init.zeros_(self.bias)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the input plus the channels' biases."""
        return x + self.bias.to(x.dtype)[:, None, None]

    def extra_repr(self) -> str:
        """Return the number of channels."""
        return f"{self.bias.numel()}"


class EnergyNorm(nn.Module):
    """Batch normalisation of a modulus: `x / sqrt(E / 2 + eps) * |weight| + bias`.

    E is each channel's mean square over batch and pixels in training (the gradient flows through it)
    and its running average in evaluation: starts at 1, no bias correction, kept as `running_var`.
    `running_mean` is there for the state dict's sake and unused. Half the mean square of the modulus
    is the variance of the complex packet's parts, so that this is their batch normalisation.

    Source: the published twins (numerics.md section 3).

    Args:
        channels: channels of the input, (batch, channels, height, width).
        eps: added to half the energy.
        momentum: share of the batch's energy in the running average.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))
        self.register_buffer("num_batches_tracked", torch.empty((), dtype=torch.long))
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running energy to 1."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set the weights to 1, the biases to 0 and the running energy to 1."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        self.reset_running_stats()

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised maps; in training mode the running energy is updated."""
        if self.training:
            energy = x.to(self.weight.dtype).square().mean(dim=(0, 2, 3))
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_var.lerp_(energy.detach(), self.momentum)
        else:
            energy = self.running_var
        scale = self.weight.abs() * (energy / 2 + self.eps).rsqrt()
        return torch.addcmul(self.bias[:, None, None], x, scale[:, None, None]).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.weight.numel()}, eps={self.eps}, momentum={self.momentum}"
