"""Define the layers `scattering` and `invariant`: moduli of the dual tree, as they are or mixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.initial_laws import INITIAL_LAWS, DefaultLaw, InitialLaw, XavierLaw
from wavetwin.ir.layer_kind import FieldFault, LayerKind, LayerOptions
from wavetwin.ir.level1_taps import LEVEL1_FILTERS
from wavetwin.ir.mixings import MIXINGS
from wavetwin.ir.operations import NUM_BANDS, Invariant, Scattering, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]

if TYPE_CHECKING:
    Level1 = str
    MixingName = str
else:  # The tables' names, which a type checker cannot follow.
    Level1 = Literal[LEVEL1_FILTERS]
    MixingName = Literal[tuple(MIXINGS)]


@frozen(kw_only=True)
class ScatteringLayer(LayerKind):
    """Smoothed moduli of dual-tree wavelets, with nothing to learn; two layers are order two."""

    key = "scattering"
    takes_followers = True
    is_normalised = True

    levels: int = declare(1, ge=1, le=8)
    """Levels J: maps become smaller by 2**levels."""
    order: Literal[0, 1, 2] = 1
    """How many moduli a path may have."""
    smoothing: float = declare(0.01, ge=0.0, le=1e6)
    """b of the modulus sqrt(|z|^2 + b^2) - b."""
    level1: Level1 = "near_sym_a"
    """Filters of the dual tree's first level."""
    mode: Literal["symmetric", "zero"] = "symmetric"
    """How maps go on beyond their border."""

    def operation(self, shape: Shape, options: LayerOptions) -> Scattering:
        """Return the moduli."""
        return Scattering(
            levels=self.levels,
            order=self.order,
            smoothing=self.smoothing,
            level1=self.level1,
            mode=self.mode,
        )


@frozen(kw_only=True)
class InvariantLayer(LayerKind):
    """Smoothed moduli of dual-tree wavelets, mixed by learned weights."""

    key = "invariant"
    takes_followers = True
    is_normalised = True
    hands_over = ("channels", "stride")
    laws = (DefaultLaw, XavierLaw)

    channels: int = declare(ge=1, le=65536)
    """Output channels."""
    mixing: MixingName = "pointwise"
    """How the moduli are mixed: by 1x1 weights, times fixed 3x3 kernels, or by learned 3x3 ones."""
    stride: Literal[1, 2] = 1
    """2 gives maps of half the size; 1 up-samples them after the mixing."""
    bias: bool = True
    """Whether each output channel has a bias."""
    smoothing: float = declare(0.01, ge=0.0, le=1e6)
    """b of the modulus sqrt(|z|^2 + b^2) - b."""
    level1: Level1 = "near_sym_a"
    """Filters of the dual tree's first level."""
    mode: Literal["symmetric", "zero"] = "symmetric"
    """How maps go on beyond their border."""
    initial: InitialLaw | None = declare(None, kinds=INITIAL_LAWS)
    """How the weights begin: `default`, with the mixing's own gain, or `xavier_uniform`; default: as
    `backbone.initial` says."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield a law that has no form for these weights."""
        law = self.initial
        if law is not None and not isinstance(law, self.laws):
            yield FieldFault(
                "field-does-not-apply",
                f"the weights of an invariant layer do not begin as {law.name} says",
                ("initial",),
                help="write initial: default, or {name: xavier_uniform, gain: 1.5}",
            )

    def operation(self, shape: Shape, options: LayerOptions) -> Invariant:
        """Return the mixed moduli."""
        law = options.law(self.initial)
        gain = None
        if isinstance(law, XavierLaw):
            fan_in = {"maps": NUM_BANDS * shape[0], "channels": shape[0]}[law.fan_in]
            fans = NUM_BANDS * shape[0] + self.channels
            gain = law.gain * (fans / (fan_in + self.channels)) ** 0.5
        return Invariant(
            channels=self.channels,
            mixing=self.mixing,
            stride=self.stride,
            bias=self.bias,
            gain=gain,
            smoothing=self.smoothing,
            level1=self.level1,
            mode=self.mode,
        )


LAYER_KINDS = (ScatteringLayer, InvariantLayer)
