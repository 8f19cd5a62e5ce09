"""List what blurs before samples are dropped, and how a trunk reduces its resolution: one row a kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wavetwin.ir.operations import AdaptiveBlur, Blur, BlurPool
from wavetwin.ir.papers import ADAPTIVE_PAPER, BLUR_PAPER

__all__ = [
    "ADAPTIVE",
    "ADAPTIVE_DOWNSAMPLING",
    "BINOMIAL",
    "BLUR_DOWNSAMPLING",
    "DOWNSAMPLINGS",
    "STRIDED",
    "Blurring",
    "Downsampling",
    "strongest",
]

_TRUNK_GROUPS = 8


@dataclass(frozen=True, slots=True)
class Blurring:
    """A low-pass before every second position is dropped."""

    title: str
    operation: Callable[[int, int], Blur]
    """From the filter's size and the groups of channels that have a filter each."""
    statement: str
    """What it does under shifts, a sentence without its stop; `{size}` is the filters' sizes."""
    source: str
    """Where the statement is from."""
    channels_per_group: int | None = None
    """In the first pooling, where each group of channels has a filter of its own."""
    has_centre: bool = False
    """Whether the filter has a centre, so that its size is odd."""
    keeps_constants: bool = True
    """Whether a constant map keeps its value."""


BINOMIAL = Blurring(
    "binomial",
    lambda size, groups: BlurPool(size=size, stride=2),
    "A binomial low-pass of size {size} before every second position is dropped removes part of what "
    "would alias, and fine detail with it: the published networks that blur have lower flip rates and "
    "a lower KL divergence at one pixel than the CNNs that do not",
    BLUR_PAPER,
)
ADAPTIVE = Blurring(
    "adaptive",
    lambda size, groups: AdaptiveBlur(size=size, stride=2, groups=groups, normalise="joint"),
    "An adaptive blur predicts a low-pass of size {size} for every pixel and group of channels, to "
    "remove what aliases and keep edges: the published networks that blur so have lower flip rates "
    "than the CNNs that do not, and a KL divergence at one pixel that is higher or lower",
    ADAPTIVE_PAPER,
    channels_per_group=8,
    has_centre=True,
    keeps_constants=False,
)
_BLURRINGS = (BINOMIAL, ADAPTIVE)


def strongest(*kinds: Blurring | None) -> Blurring | None:
    """Return what has most to say of several that blur; None where none does."""
    return max((kind for kind in kinds if kind is not None), key=_BLURRINGS.index, default=None)


@dataclass(frozen=True, slots=True)
class Downsampling:
    """How a trunk halves its resolution: `backbone.downsampling`."""

    name: str
    """In the spec language."""
    blurring: Blurring | None
    """What blurs after a layer of stride 1; None: the layer itself has a stride of 2."""

    def blur(self, size: int) -> Blur | None:
        """Return the blur after a layer of stride 1; None: the layer has a stride of 2."""
        return None if self.blurring is None else self.blurring.operation(size, _TRUNK_GROUPS)


STRIDED = Downsampling("strided", None)
BLUR_DOWNSAMPLING = Downsampling("blur", BINOMIAL)
ADAPTIVE_DOWNSAMPLING = Downsampling("adaptive_blur", ADAPTIVE)
DOWNSAMPLINGS: dict[str, Downsampling] = {
    each.name: each for each in (STRIDED, BLUR_DOWNSAMPLING, ADAPTIVE_DOWNSAMPLING)
}
