"""Take the maximum of rectified maps, normalised before and blurred after, in one layer.

What a pass of the compiler writes in the place of norm, activation, maximum and blur where the native kernel
computes; the parameters are called as the norm's. Elsewhere torch's operations compute the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from wavetwin.runtime.bank.native.pooling import Norm, native_pool
from wavetwin.runtime.bank.native.windows import Blur, Window, batch_statistics, is_for_kernel
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.blur import BlurPool
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.modulus import OwnBatchNorm
from wavetwin.runtime.layers.traced import Layer


class ReluMaxPool(ByKernel, Layer):
    """The maximum of the positive parts in a window; inputs are joined along the channels.

    Real `(batch, channels, height, width)`, each, to `(batch, sum of channels, out_height, out_width)`:
    the same as `torch.cat`, `nn.ReLU`, `nn.MaxPool2d` and `BlurPool` one after the other.

    Args:
        kernel_size: side of the window.
        stride: step of the window.
        padding: samples beyond each border, which count for nothing.
        blur_size: taps of a blur after a maximum of stride 1; None: there is no blur.
        blur_stride: step of the blur's output.
        native: whether CPUs compute by the native kernel (`use_native_kernel`).
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int,
        padding: int = 0,
        blur_size: int | None = None,
        blur_stride: int = 1,
        native: bool = False,
    ) -> None:
        super().__init__()
        self.window = Window(kernel_size, stride, padding)
        self.blur = _blur_after(self.window, blur_size, blur_stride)
        self.native = native

    def forward(
        self, *inputs: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the maxima."""
        if self.native and is_for_kernel(inputs, self.window, _size_of(self.blur)):
            return native_pool(inputs, self.window, blur=_for_kernel(self.blur))
        return _pool(_joined(inputs), self.window, self.blur)

    def extra_repr(self) -> str:
        """Return the window."""
        return _window_text(self.window)


class NormMaxPool(ByKernel, Layer, OwnBatchNorm):
    """`ReluMaxPool` of what a batch norm makes of the joined inputs; it is that norm, with its state.

    Args:
        channels: channels of all inputs.
        kernel_size: side of the window.
        stride: step of the window.
        padding: samples beyond each border, which count for nothing.
        eps: added to the variance.
        momentum: share of the batch's statistics in the running ones; None: the mean of all batches.
        blur_size: taps of a blur after a maximum of stride 1; None: there is no blur.
        blur_stride: step of the blur's output.
        native: whether CPUs compute by the native kernel (`use_native_kernel`).
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int,
        padding: int = 0,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        blur_size: int | None = None,
        blur_stride: int = 1,
        native: bool = False,
    ) -> None:
        super().__init__(channels, eps, momentum)
        self.window = Window(kernel_size, stride, padding)
        self.blur = _blur_after(self.window, blur_size, blur_stride)
        self.native = native

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: the base takes one input
        self, *inputs: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the maxima; in training mode the running statistics are updated."""
        is_native = (
            self.native
            and is_for_kernel(inputs, self.window, _size_of(self.blur))
            and self.weight.dtype == inputs[0].dtype
            and self.weight.device == inputs[0].device
            and (not self.training or inputs[0].numel() > inputs[0].shape[1])
        )
        if not is_native:
            return _pool(_BatchNorm.forward(self, _joined(inputs)), self.window, self.blur)
        mean, variance = self.running_mean, self.running_var
        if self.training or mean is None or variance is None:
            of_batch = batch_statistics(inputs, self.window)
            if self.training:
                self._follow(of_batch.mean, of_batch.variance, of_batch.values)
            mean, variance, values = of_batch.mean, of_batch.variance, of_batch.values
            norm = Norm(self.bias, self.weight, mean, variance, self.eps, values)
        else:
            norm = Norm(self.bias, self.weight, mean, variance, self.eps)
        return native_pool(inputs, self.window, norm, _for_kernel(self.blur))

    def _follow(self, mean: Tensor, variance: Tensor, values: int) -> None:
        """Put a batch's statistics into the running ones, as torch's norm does."""
        tracked, momentum = self.num_batches_tracked, self.momentum
        running = (self.running_mean, self.running_var)
        if not self.track_running_stats or tracked is None:
            return
        with torch.no_grad():
            tracked.add_(1)
            share = 1 / float(tracked) if momentum is None else momentum
            unbiased = variance * (values / (values - 1))
            for kept, found in zip(running, (mean, unbiased), strict=True):
                if kept is not None:
                    kept.mul_(1 - share).add_(found.to(kept), alpha=share)

    def extra_repr(self) -> str:
        """Return the channels and the window."""
        return f"{super().extra_repr()}, {_window_text(self.window)}"


def _joined(inputs: tuple[Tensor, ...]) -> Tensor:
    return inputs[0] if len(inputs) == 1 else torch.cat(inputs, dim=1)


def _pool(x: Tensor, window: Window, blur: BlurPool | None) -> Tensor:
    pooled = F.max_pool2d(F.relu(x), window.size, window.step, window.margin)
    return pooled if blur is None else blur(pooled)


def _blur_after(window: Window, size: int | None, stride: int) -> BlurPool | None:
    if size is None:
        return None
    if window.step != 1:
        raise ValueError(f"a blur after a maximum of stride {window.step}: 1 is supported")
    return BlurPool(size, stride)


def _size_of(blur: BlurPool | None) -> int:
    return 1 if blur is None else blur.size


def _for_kernel(blur: BlurPool | None) -> Blur | None:
    return None if blur is None else blur.for_kernel()


def _window_text(window: Window) -> str:
    return f"kernel_size={window.size}, stride={window.step}, padding={window.margin}"
