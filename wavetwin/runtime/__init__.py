"""The runtime: builds, trains and evaluates what the compiler planned; never reads YAML.

The layers are usable in anybody's model. Importing this package imports no torch; its names do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from wavetwin.runtime.network.build import build_module, initialise
    from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
    from wavetwin.runtime.process.torchvision_compat import import_torchvision
    from wavetwin.runtime.training.losses import l1_linf_penalty, regularisation
    from wavetwin.runtime.training.records import read_gradients

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
    "ResultingKernel": "network.kernels",
    "build_module": "network.build",
    "initialise": "network.build",
    "import_torchvision": "process.torchvision_compat",
    "l1_linf_penalty": "training.losses",
    "read_gradients": "training.records",
    "regularisation": "training.losses",
    "resulting_kernel": "network.kernels",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'layers')}"), name)
