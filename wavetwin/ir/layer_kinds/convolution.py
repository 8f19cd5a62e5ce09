"""Define the layer `conv`."""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Conv2d, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLayer(LayerKind):
    """Convolution."""

    key = "conv"
    takes_followers = True

    channels: int = declare(ge=1, le=65536)
    """Output channels."""
    kernel_size: int = declare(3, ge=1, le=63)
    """Height and width of the kernel."""
    stride: int = declare(1, ge=1, le=16)
    """Step in both directions."""
    padding: int | None = declare(None, ge=0, le=63)
    """Zeros added on each side; default: (kernel_size - 1) // 2."""
    groups: int = declare(1, ge=1, le=65536)
    """Groups of channels that do not see each other."""
    bias: bool = True
    """Whether each output channel has a bias."""

    def operation(self, shape: Shape, options: LayerOptions) -> Conv2d:
        """Return the convolution."""
        return Conv2d(
            channels=self.channels,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=(self.kernel_size - 1) // 2 if self.padding is None else self.padding,
            groups=self.groups,
            bias=self.bias,
            initial="default",
            frozen=False,
        )


LAYER_KINDS = (ConvLayer,)
