"""Take the modulus of complex packets, and normalise it."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wavetwin.runtime.bank.eager import plain_shape
from wavetwin.runtime.bank.modulus import modulus, smooth_norm
from wavetwin.runtime.bank.native.pooling import Norm, native_pool
from wavetwin.runtime.bank.native.windows import EACH, batch_statistics, is_for_kernel
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.parts import Parts, split_parts
from wavetwin.runtime.layers.traced import Layer

__all__ = ["ChannelBias", "EnergyNorm", "Modulus", "OwnBatchNorm", "modulus", "smooth_norm"]


class Modulus(Layer):
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


class ChannelBias(ByKernel, Layer):
    """Adds one trainable number to each of `channels` channels.

    Source: the published twins (arXiv:2212.00394), whose bias is that of a depthwise 1x1
    convolution with a fixed weight, and begins as torch begins one with a fan-in of 1.

    Args:
        channels: channels of the input, (batch, channels, height, width).
        initial: `uniform`, between -1 and 1, or `zeros`.
        relu: whether positive parts are given.
        native: whether CPUs compute both by the native kernel (`use_native_kernel`).

    Raises:
        ValueError: `initial` is neither.
    """

    def __init__(
        self,
        channels: int,
        initial: Literal["uniform", "zeros"] = "uniform",
        relu: bool = False,
        native: bool = False,
    ) -> None:
        super().__init__()
        if initial not in ("uniform", "zeros"):
            raise ValueError(f"initial {initial!r}: one of uniform, zeros")
        self.initial = initial
        self.relu = relu
        self.native = native
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the biases between -1 and 1, or set them to 0."""
        if self.initial == "zeros":
            nn.init.zeros_(self.bias)
        else:
            nn.init.uniform_(self.bias, -1, 1)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the input plus the channels' biases, or the positive parts of that."""
        is_alike = x.dtype == self.bias.dtype and x.device == self.bias.device
        if self.relu and self.native and is_alike and is_for_kernel((x,), EACH):
            return native_pool((x,), EACH, Norm(self.bias))
        y = x + self.bias.to(x.dtype)[:, None, None]
        return F.relu(y) if self.relu else y

    def extra_repr(self) -> str:
        """Return the number of channels, and what they begin with where it is 0."""
        initial = ", initial='zeros'" if self.initial == "zeros" else ""
        return f"{self.bias.numel()}{initial}{', relu=True' if self.relu else ''}"


class OwnBatchNorm(_BatchNorm):
    """Base of batch norms of another kind than torch's, which none of torch's may replace.

    They have no `num_features`, which `convert_sync_batchnorm` and its like ask for.
    """

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(channels, eps, momentum, track_running_stats=track_running_stats)
        self.channels = channels
        del self.num_features

    def __getattr__(self, name: str) -> Any:
        """Say, to who asks for `num_features`, why there is none.

        Raises:
            AttributeError: always, where torch finds nothing of this name.
        """
        if name == "num_features":
            raise AttributeError(
                f"{type(self).__name__} has no synchronised form, and no other batch norm takes its "
                "place: torch's would compute something else. Convert the parts without it, "
                "`model.trunk = SyncBatchNorm.convert_sync_batchnorm(model.trunk)`; the number of its "
                "channels is `channels`"
            )
        return super().__getattr__(name)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 4:
            raise ValueError(
                f"an input of shape {tuple(input.shape)}: (batch, {self.channels}, height, width) "
                "is needed"
            )

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}"


class EnergyNorm(ByKernel, Layer, OwnBatchNorm):
    """Batch normalisation of a modulus: `x / sqrt(E / 2 + eps) * |weight| + bias`.

    E is each channel's mean square over batch and pixels in training (the gradient flows through it)
    and its running average in evaluation: starts at 1, no bias correction, kept as `running_var`.
    `running_mean` is there for the state dict's sake and unused. Half the mean square of the modulus
    is the variance of the complex packet's parts, so that this is their batch normalisation.

    It is one of torch's batch norms to whoever looks for them: `update_bn` of weight averaging, loops
    that put all of them in evaluation to freeze them. `momentum`, `track_running_stats` and
    `reset_running_stats` mean what they do there. An empty batch leaves the running average alone.
    It has no `num_features`, which `convert_sync_batchnorm` and its like ask for in order to put a norm
    of another kind in its place: they are refused, each process normalises by its own images. The
    number of channels is `channels`.

    Source: the published twins (arXiv:2212.00394).

    Args:
        channels: channels of the input, (batch, channels, height, width).
        eps: added to half the energy.
        momentum: share of the batch's energy in the running average; None: the mean of all batches.
        track_running_stats: whether there is a running average; else the batch's energy is always
            used.
        relu: whether positive parts are given.
        native: whether CPUs compute both by the native kernel (`use_native_kernel`).
    """

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        track_running_stats: bool = True,
        relu: bool = False,
        native: bool = False,
    ) -> None:
        super().__init__(channels, eps, momentum, track_running_stats)
        self.relu = relu
        self.native = native

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: the base calls it `input`
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised maps; in training mode the running energy is updated."""
        self._check_input_dim(x)
        running = self.running_var
        is_alike = x.dtype == self.weight.dtype and x.device == self.weight.device
        if self.relu and self.native and is_alike and is_for_kernel((x,), EACH):
            return self._by_kernel(x, running)
        if self.training or running is None:
            energy = x.to(self.weight.dtype).square().mean(dim=(0, 2, 3))
            if self.training and self.track_running_stats and running is not None:
                self._follow(energy.detach(), running, 0 not in plain_shape(x))
        else:
            energy = running
        scale = self.weight.abs() * (energy / 2 + self.eps).rsqrt()
        y = torch.addcmul(self.bias[:, None, None], x, scale[:, None, None]).to(x.dtype)
        return F.relu(y) if self.relu else y

    def _by_kernel(self, x: Tensor, running: Tensor | None) -> Tensor:
        values = None
        energy = running
        if self.training or energy is None:
            of_batch = batch_statistics((x,), EACH)
            energy, values = of_batch.variance + of_batch.mean.square(), of_batch.values
            if self.training and self.track_running_stats and running is not None:
                self._follow(energy.to(running.dtype), running, has_values=True)
        else:
            # The average may change before the backward pass.
            energy = energy.clone()
        norm = Norm(self.bias, self.weight, None, energy, self.eps, values)
        return native_pool((x,), EACH, norm)

    def extra_repr(self) -> str:
        """Return the sizes, and whether positive parts are given."""
        return super().extra_repr() + (", relu=True" if self.relu else "")

    def _follow(self, energy: Tensor, running: Tensor, has_values: bool) -> None:
        """Put a batch's energy into the running average."""
        tracked = self.num_batches_tracked
        if not has_values or tracked is None:
            return
        with torch.no_grad():
            tracked.add_(1)
            if self.momentum is None:
                running.lerp_(energy, 1 / tracked.to(energy.dtype))
            else:
                running.lerp_(energy, self.momentum)
