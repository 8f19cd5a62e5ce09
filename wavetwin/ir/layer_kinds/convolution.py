"""Define the layer `conv`."""

from __future__ import annotations

from typing import Literal, Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.initial_laws import INITIAL_LAWS, InitialLaw
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import Conv2d, Operation, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class ConvLayer(LayerKind):
    """Convolution."""

    key = "conv"
    takes_followers = True
    is_normalised = True
    hands_over = ("channels", "stride")

    channels: int = declare(ge=1, le=65536)
    """Output channels."""
    kernel_size: int = declare(3, ge=1, le=63)
    """Height and width of the kernel."""
    stride: int = declare(1, ge=1, le=16)
    """Step in both directions."""
    padding: int | None = declare(None, ge=0, le=63)
    """Margin on each side; default: (kernel_size - 1) // 2."""
    padding_mode: Literal["zeros", "reflect"] = declare("zeros", later=True)
    """What the margin holds: zeros, or the map reflected about its outermost samples."""
    groups: int = declare(1, ge=1, le=65536)
    """Groups of channels that do not see each other."""
    bias: bool = True
    """Whether each output channel has a bias."""
    initial: InitialLaw | None = declare(None, kinds=INITIAL_LAWS)
    """How the weights begin; default: as `backbone.initial` says."""
    frozen: bool = declare(False, later=True)
    """Whether the layer keeps its initial (or loaded) weights."""

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that a convolution of a named trunk is."""
        if not isinstance(operation, Conv2d):
            return None
        default = (operation.kernel_size - 1) // 2  # which goes with another kernel, too
        return cls(
            channels=operation.channels,
            kernel_size=operation.kernel_size,
            stride=operation.stride,
            padding=None if operation.padding == default else operation.padding,
            groups=operation.groups,
            bias=operation.bias,
            initial=INITIAL_LAWS[operation.initial](),
            frozen=operation.frozen,
        )

    def operation(self, shape: Shape, options: LayerOptions) -> Conv2d:
        """Return the convolution."""
        law = options.law(self.initial)
        return Conv2d(
            channels=self.channels,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=(self.kernel_size - 1) // 2 if self.padding is None else self.padding,
            groups=self.groups,
            bias=self.bias,
            initial=law.name,
            gain=law.scale,
            frozen=self.frozen,
            padding_mode=self.padding_mode,
        )


LAYER_KINDS = (ConvLayer,)
