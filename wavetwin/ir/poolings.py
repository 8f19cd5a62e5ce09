"""List the first poolings that the language knows: a row each, with the recipe that graphs follow.

A row is all there is of a pooling: the language's names, the layers, the strides, what validation
and lint ask, and what `wavetwin diff` says of it follow from its fields. docs/poolings.md says how
to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod

from wavetwin.ir.blurring import ADAPTIVE, BINOMIAL, WAVELET_STATEMENT, Blurring
from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations import (
    BatchNorm,
    Bias,
    Deinterleave,
    EnergyNorm,
    MaxPool,
    Modulus,
    Operation,
    Relu,
    Shape,
    Subsample,
    WaveletPool,
)
from wavetwin.ir.papers import SHIFT_PAPER

__all__ = [
    "FREE_POOLINGS",
    "MAX",
    "MAX_ADAPTIVE_BLUR",
    "MAX_BLUR",
    "MODULE",
    "MODULUS",
    "MODULUS_BLUR",
    "NONE",
    "POOLINGS",
    "WAVELET",
    "FirstPooling",
    "Pooling",
    "Step",
]


@frozen(kw_only=True)
class FirstPooling:
    """What backbone and spec say of the first pooling, whichever it is."""

    has_norm: bool
    """Whether a norm comes before the activation."""
    window: int
    """Of the maximum."""
    padding: int
    """Margin of that maximum."""
    splits_stride: bool
    """Whether a pooling may take over half of the first convolution's stride (AlexNet)."""
    max_kernel: int | None = None
    """Window of a maximum at every position, without a margin where it is smaller; None: `window`."""
    blur_size: int = 3
    initial_bias: str = "uniform"
    bands: WaveletPool | None = None
    """The wavelet pooling, where there is one."""
    module: Callable[[Shape], Operation] | None = None
    """Makes the project's own module of what it reads, where there is one."""
    free_step: int = 2
    """Positions from one that the free channels' pooling keeps to the next."""


@frozen(kw_only=True)
class Step(ABC):
    """One layer of a recipe."""

    name: str
    """Of the node, below `pool`."""
    stride: int = 1
    is_chosen: bool = True
    """Whether it is there for this pooling, not for every one."""

    @abstractmethod
    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the node's name and operation on maps of a shape; None where it has no layer."""

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return the fields that its layer reads, besides the one that names the pooling."""
        return ()

    @property
    def subsampling(self) -> int:
        """How many positions it moves by in the map before it from one that it keeps to the next."""
        return self.stride


@frozen(kw_only=True)
class Fixed(Step):
    """A layer that nothing changes."""

    operation: Operation

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return it."""
        return self.name, self.operation

    @property
    def subsampling(self) -> int:
        """The operation's."""
        return self.operation.subsampling


@frozen(kw_only=True)
class Norm(Step):
    """A batch norm where the first pooling begins with one."""

    name: str = "norm"
    is_chosen: bool = False

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the norm, or none."""
        if not first.has_norm:
            return None
        return self.name, BatchNorm.of(shape[0])


@frozen(kw_only=True)
class EnergyNormOrBias(Step):
    """What stands after a modulus in place of a batch norm and of the convolution's bias."""

    name: str = "norm"
    is_chosen: bool = False

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the norm, or the bias."""
        if not first.has_norm:
            return "bias", Bias(channels=shape[0], initial=first.initial_bias, frozen=False)
        return self.name, EnergyNorm.of(shape[0])

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return the bias' field."""
        return () if first.has_norm else ("pooling.initial_bias",)


@frozen(kw_only=True)
class Maximum(Step):
    """The maximum in the backbone's window, or where it is taken at every position the spec's."""

    name: str = "max"

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the maximum."""
        size, padding = first.window, first.padding
        if self.stride == 1 and first.max_kernel is not None and first.max_kernel < size:
            size, padding = first.max_kernel, 0
        return self.name, MaxPool(kernel_size=size, stride=self.stride, padding=padding)

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return the window's field, where it is open."""
        is_open = self.stride == 1 and first.max_kernel is not None
        return ("pooling.max_kernel",) if is_open else ()


@frozen(kw_only=True)
class BlurByTwo(Step):
    """A low-pass that keeps every second position."""

    name: str = "blur"
    stride: int = 2
    kind: Blurring

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the blur, with a group for each so many channels where groups have their own."""
        groups = shape[0] // (self.kind.channels_per_group or shape[0])
        return self.name, self.kind.operation(first.blur_size, groups)

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return the blur's size."""
        return ("pooling.blur_size",)


@frozen(kw_only=True)
class Bands(Step):
    """Bands of half the size, of the wavelet that the spec names."""

    name: str = "bands"
    stride: int = 2

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the wavelet pooling."""
        assert first.bands is not None, "resolve fills it in"
        return self.name, first.bands

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return its settings."""
        return ("pooling.wavelet_pool",)


@frozen(kw_only=True)
class Module(Step):
    """A module of the project that the spec names."""

    name: str = "module"
    stride: int = 2

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the module, measured on this shape."""
        assert first.module is not None, "the checks ask for it"
        return self.name, first.module(shape)

    def fields(self, first: FirstPooling) -> tuple[str, ...]:
        """Return what names it."""
        return ("pooling.module",)


@frozen(kw_only=True)
class KeepPositions(Step):
    """The positions that the free channels' pooling keeps, or at a part of its step."""

    name: str = "subsample"
    parts: int = 1
    """How many times more positions than the free channels' pooling keeps."""

    def layer(self, first: FirstPooling, shape: Shape) -> tuple[str, Operation] | None:
        """Return the subsampling."""
        return self.name, Subsample(step=first.free_step // self.parts)


@frozen(kw_only=True)
class Pooling:
    """A first pooling: one row."""

    name: str
    """In the spec language."""
    paper_name: str
    """In the papers."""
    steps: tuple[Step, ...]
    """Its layers in order, from the first layer's output to the next convolution."""
    split_steps: tuple[Step, ...] | None = None
    """The same where the pooling takes over half of a first stride of 4, as in AlexNet; None: it takes
    over nothing there."""
    takes_complex: bool = False
    """Whether it pools complex channels, which only the dual-tree packets give; else real ones."""
    is_plain_max: bool = False
    """Whether it is the maximum alone, whose stability beside the modulus the papers treat."""
    statement: str = ""
    """What it does under shifts, a sentence without its capital and its stop, for `wavetwin diff`.
    Empty: what it is compared with says it, or its blurs do."""
    source: str = ""
    """Where the statement is from; empty: it follows from the graphs."""

    def steps_of(self, splits_stride: bool) -> tuple[Step, ...]:
        """Return the layers for a backbone that lets the first stride be split, or not."""
        return self.split_steps or self.steps if splits_stride else self.steps

    def keeps_every(self, splits_stride: bool) -> int:
        """Return the positions from one that it keeps to the next, of what pools real channels."""
        assert not self.follows_free_step, self.name
        return prod(step.subsampling for step in self.steps_of(splits_stride))

    @property
    def follows_free_step(self) -> bool:
        """Whether its subsampling is that of the free channels' pooling."""
        return any(isinstance(step, KeepPositions) for step in self.steps)

    @property
    def divides_free_step_by(self) -> int:
        """What the free channels' step must be a multiple of; 1: any step will do."""
        return prod(step.parts for step in self.steps if isinstance(step, KeepPositions))

    @property
    def blurring(self) -> Blurring | None:
        """What it blurs with."""
        kinds = (step.kind for step in self.steps if isinstance(step, BlurByTwo))
        return next(kinds, None)

    @property
    def takes_bands(self) -> bool:
        """Whether it is a wavelet pooling, which `pooling.wavelet_pool` describes."""
        return any(isinstance(step, Bands) for step in self.steps)

    @property
    def takes_module(self) -> bool:
        """Whether it is a module of the project, which `pooling.module` names."""
        return any(isinstance(step, Module) for step in self.steps)

    @property
    def has_open_window(self) -> bool:
        """Whether `pooling.max_kernel` is the window of its maximum, but in AlexNet."""
        return any(isinstance(step, Maximum) and step.stride == 1 for step in self.steps)

    @property
    def may_have_bias(self) -> bool:
        """Whether a bias of its own takes the place of a norm, where there is none."""
        return any(isinstance(step, EnergyNormOrBias) for step in self.steps)


_RELU = Fixed(name="relu", operation=Relu(), is_chosen=False)
_REAL = (Norm(), _RELU)
_MODULUS = (
    Fixed(name="modulus", operation=Modulus()),
    EnergyNormOrBias(),
    _RELU,
)
_COMPLEX = Fixed(name="complex", operation=Deinterleave())


def _max_and_blur(name: str, paper_name: str, kind: Blurring) -> Pooling:
    """Return the maximum at every position with a blur after it, or in AlexNet one before, too."""
    return Pooling(
        name=name,
        paper_name=paper_name,
        steps=(*_REAL, Maximum(), BlurByTwo(kind=kind)),
        split_steps=(
            *_REAL,
            BlurByTwo(name="blur1", kind=kind),
            Maximum(),
            BlurByTwo(name="blur2", kind=kind),
        ),
    )


MAX = Pooling(
    name="max",
    paper_name="RMax",
    steps=(*_REAL, Maximum(stride=2)),
    is_plain_max=True,
)
MAX_BLUR = _max_and_blur("max_blur", "RMax with blur", BINOMIAL)
MAX_ADAPTIVE_BLUR = _max_and_blur("max_adaptive_blur", "RMax with adaptive blur", ADAPTIVE)
NONE = Pooling(
    name="none",
    paper_name="no pooling",
    steps=_REAL,
    statement="without a pooling no position is dropped, so that nothing aliases here, and the "
    "oscillations of a map are left to the trunk",
)
WAVELET = Pooling(
    name="wavelet",
    paper_name="wavelet pooling",
    steps=(*_REAL, Bands()),
    statement=WAVELET_STATEMENT,
)
MODULE = Pooling(
    name="module",
    paper_name="own pooling",
    steps=(*_REAL, Module()),
    statement="a pooling of your own does what its file says: nothing is known of what aliases in it",
)
MODULUS = Pooling(
    name="modulus",
    paper_name="CMod",
    steps=(_COMPLEX, KeepPositions(), *_MODULUS),
    takes_complex=True,
)
MODULUS_BLUR = Pooling(
    name="modulus_blur",
    paper_name="CMod with blur",
    steps=(_COMPLEX, KeepPositions(parts=2), *_MODULUS, BlurByTwo(kind=BINOMIAL)),
    takes_complex=True,
    statement="a modulus taken at half the step and blurred loses some of what still aliases in it, "
    "and detail",
    source=SHIFT_PAPER,
)

POOLINGS: dict[str, Pooling] = {
    each.name: each
    for each in (
        MAX,
        MAX_BLUR,
        MAX_ADAPTIVE_BLUR,
        WAVELET,
        NONE,
        MODULE,
        MODULUS,
        MODULUS_BLUR,
    )
}
"""Every first pooling by its name, those of real channels first: what `pooling.wavelet` may be."""
FREE_POOLINGS: dict[str, Pooling] = {
    name: each for name, each in POOLINGS.items() if not each.takes_complex
}
"""What `pooling.free` may be: free channels are real."""
