"""List what blurs before samples are dropped, and how a trunk halves its resolution: one row a kind."""

from __future__ import annotations

from collections.abc import Callable

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations import AdaptiveBlur, Blur, BlurPool, Operation, WaveletPool
from wavetwin.ir.papers import ADAPTIVE_PAPER, BLUR_PAPER

__all__ = [
    "ADAPTIVE",
    "ADAPTIVE_DOWNSAMPLING",
    "BINOMIAL",
    "BLUR_DOWNSAMPLING",
    "DOWNSAMPLINGS",
    "STRIDED",
    "WAVELET_DOWNSAMPLING",
    "WAVELET_STATEMENT",
    "Blurring",
    "Downsampling",
    "strongest",
]

_TRUNK_GROUPS = 8


@frozen
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


@frozen
class Downsampling:
    """How a trunk halves its resolution: `backbone.downsampling`."""

    name: str
    """In the spec language."""
    blurring: Blurring | None = None
    """What blurs after a layer of stride 1."""
    takes_bands: bool = False
    """Whether a wavelet pooling stands after a layer of stride 1, or in place of a maximum."""
    own_statement: str = ""
    """What it does under shifts, a sentence without its capital and its stop, where it does not blur."""

    @property
    def needs_trunk(self) -> bool:
        """Whether it is asked of a trunk that the language knows, which has layers with a stride."""
        return self.blurring is not None or self.takes_bands

    def reduction(self, size: int, bands: WaveletPool | None) -> Operation | None:
        """Return what keeps every second position; None: layers have a stride of 2.

        Args:
            size: of a blur.
            bands: the wavelet pooling, where it is one.
        """
        if self.takes_bands:
            assert bands is not None, "resolve fills it in"
            return bands
        return None if self.blurring is None else self.blurring.operation(size, _TRUNK_GROUPS)


WAVELET_STATEMENT = (
    "a wavelet pooling filters each map by the low-pass of a wavelet before every second position is "
    "dropped, which removes part of what would alias; fine detail is lost with it, unless it mixes the "
    "detail bands in"
)
"""What a wavelet pooling does under shifts."""

STRIDED = Downsampling("strided")
BLUR_DOWNSAMPLING = Downsampling("blur", BINOMIAL)
ADAPTIVE_DOWNSAMPLING = Downsampling("adaptive_blur", ADAPTIVE)
WAVELET_DOWNSAMPLING = Downsampling("wavelet", takes_bands=True, own_statement=WAVELET_STATEMENT)
DOWNSAMPLINGS: dict[str, Downsampling] = {
    each.name: each
    for each in (STRIDED, BLUR_DOWNSAMPLING, ADAPTIVE_DOWNSAMPLING, WAVELET_DOWNSAMPLING)
}
