"""The runtime: builds, trains and evaluates what the compiler planned; never reads YAML.

The layers are usable in anybody's model. Importing this package imports no torch; its names do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavetwin.runtime.build import build_module, initialise
    from wavetwin.runtime.kernels import ResultingKernel, resulting_kernel
    from wavetwin.runtime.layers import (
        AdaptiveBlur,
        BlurPool,
        CenterCropConcat,
        ChannelBias,
        ColourMixing,
        ColourMixingAfter,
        DualTreePacketMaps,
        DualTreePackets,
        EnergyNorm,
        KeepPackets,
        MixedPackets,
        Modulus,
        PacketMixing,
        SeparablePackets,
        Subsample,
        leaf_modules,
    )
    from wavetwin.runtime.losses import l1_linf_penalty, regularisation
    from wavetwin.runtime.records import read_gradients
    from wavetwin.runtime.torchvision_compat import import_torchvision

__all__ = [
    "AdaptiveBlur",
    "BlurPool",
    "CenterCropConcat",
    "ChannelBias",
    "ColourMixing",
    "ColourMixingAfter",
    "DualTreePacketMaps",
    "DualTreePackets",
    "EnergyNorm",
    "KeepPackets",
    "MixedPackets",
    "Modulus",
    "PacketMixing",
    "ResultingKernel",
    "SeparablePackets",
    "Subsample",
    "build_module",
    "import_torchvision",
    "initialise",
    "l1_linf_penalty",
    "leaf_modules",
    "read_gradients",
    "regularisation",
    "resulting_kernel",
]

_MODULES = {
    "ResultingKernel": "kernels",
    "build_module": "build",
    "initialise": "build",
    "import_torchvision": "torchvision_compat",
    "l1_linf_penalty": "losses",
    "read_gradients": "records",
    "regularisation": "losses",
    "resulting_kernel": "kernels",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'layers')}"), name)
