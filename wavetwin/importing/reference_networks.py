"""List the networks that the reference has, by the names of its command line.

A name says the family, the depth, who blurs (Zhang or Zou) and whether it is a twin; what the
configurations of a family can be stands in the family's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wavetwin.ir.blurring import (
    ADAPTIVE_DOWNSAMPLING,
    BLUR_DOWNSAMPLING,
    STRIDED,
    Downsampling,
)
from wavetwin.ir.poolings import MAX, MAX_ADAPTIVE_BLUR, MAX_BLUR, Pooling

__all__ = ["ALEXNETS", "NETWORKS", "RESNETS", "Network"]

_MAKERS: dict[str, tuple[Downsampling, Pooling]] = {
    "": (STRIDED, MAX),
    "Zhang": (BLUR_DOWNSAMPLING, MAX_BLUR),
    "Zou": (ADAPTIVE_DOWNSAMPLING, MAX_ADAPTIVE_BLUR),
}
"""How the trunk reduces its resolution and what the first pooling is, by whose networks they are."""


def _band(band: int, channels: int, groups: int) -> dict[str, Any]:
    return {"band": band, "channels": channels, "groups": groups}


def _packets(packets: list[int], channels: int, groups: int) -> dict[str, Any]:
    return {"packets": packets, "channels": channels, "groups": groups}


@dataclass(frozen=True, slots=True)
class _Family:
    """What the reference has for a family of networks."""

    plural: str
    free_channels: int
    """Of the twins, for which the bands are known."""
    levels: int
    bands: Mapping[str, Any]
    """`keep` and `exclude` of the twins."""
    bands_without_edges: Mapping[str, Any] | None = None
    """The same with `Ex`, where that is known."""
    has_ablations: bool = False
    has_large_kernels: bool = False
    takes_size_without_blur: bool = True
    """Whether a blur's size is taken, and without effect, where nothing blurs."""
    has_one_blur_size: bool = True
    """Whether a twin without a size blurs first pooling and trunk alike."""
    takes_small_max: bool = False


ALEXNETS = _Family(
    "AlexNets",
    free_channels=32,
    levels=3,
    bands={
        "exclude": ["lowpass", "diagonal"],
        "keep": [_band(1, 6, 6), _band(2, 18, 6), _band(3, 8, 4)],
    },
    has_large_kernels=True,
    takes_size_without_blur=False,
    has_one_blur_size=False,
)
RESNETS = _Family(
    "ResNets",
    free_channels=40,
    levels=2,
    bands={"exclude": ["lowpass"], "keep": [_band(1, 12, 6), _band(2, 12, 6)]},
    bands_without_edges={
        "keep": [
            _packets([1, 2, 19, 17, 18, 3], 12, 6),
            _packets([5, 23, 10, 27], 4, 4),
            _packets([31], 2, 1),
            _packets([7, 21, 11, 26], 4, 4),
            _packets([15], 2, 1),
        ]
    },
    has_ablations=True,
    takes_small_max=True,
)
"""Sources: arXiv:2212.00394."""


@dataclass(frozen=True, slots=True)
class Network:
    """What an architecture's name says."""

    arch: str
    family: _Family
    downsampling: Downsampling
    pooling: Pooling
    """The first one, where the configuration says no other."""
    is_twin: bool

    @property
    def blurs(self) -> bool:
        """Whether first pooling and trunk blur."""
        return self.downsampling.blurring is not None


def _networks() -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for twin in (False, True):
        for maker, kinds in _MAKERS.items():
            # There is no AlexNet with the adaptive blur.
            if kinds[1] is not MAX_ADAPTIVE_BLUR:
                prefix = "DtCwpt" if twin else ""
                networks[f"{prefix}{maker}AlexNet"] = Network("alexnet", ALEXNETS, *kinds, twin)
            for depth in (18, 34, 50, 101):
                parts = ["dtcwpt"] * twin + [maker.lower()] * bool(maker) + [f"resnet{depth}"]
                networks["_".join(parts)] = Network(f"resnet{depth}", RESNETS, *kinds, twin)
    return networks


NETWORKS = _networks()
