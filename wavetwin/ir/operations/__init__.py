"""Define a module graph's operations: a class each, with attributes, shapes, weights and layer.

`OPERATIONS` has all of them by the names that graph.json uses, known by being in a module of this package;
docs/graph.md lists them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from wavetwin.ir.operations.activations import Gelu, LeakyRelu, Relu
from wavetwin.ir.operations.blurs import AdaptiveBlur, Blur, BlurPool, MaxBlurPool
from wavetwin.ir.operations.networks import (
    KAIMING,
    NORMAL,
    XAVIER,
    AdaptiveAveragePool,
    Add,
    AveragePool,
    Bias,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool,
    SlidingWindow,
)
from wavetwin.ir.operations.norms import BatchNorm, EnergyNorm, GroupNorm
from wavetwin.ir.operations.operation import (
    OPERATIONS,
    Attribute,
    Call,
    Operation,
    ParameterCounts,
    Shape,
    Source,
    UnfitError,
    literal,
)
from wavetwin.ir.operations.packets import (
    ColourMixing,
    ColourMixingAfter,
    CropToPackets,
    KeepPackets,
    PacketBank,
    PacketMixing,
    Packets,
)
from wavetwin.ir.operations.pooled import NormMaxPool, ReluMaxPool
from wavetwin.ir.operations.scattering import NUM_BANDS, Invariant, Scattering
from wavetwin.ir.operations.user_modules import UserModule
from wavetwin.ir.operations.wavelet_pools import BAND_MAPS, WaveletPool
from wavetwin.ir.operations.wiring import (
    Concat,
    Crop,
    Deinterleave,
    Interleave,
    Modulus,
    RealPart,
    SliceChannels,
    Subsample,
)

__all__ = [
    "BAND_MAPS",
    "KAIMING",
    "NORMAL",
    "NUM_BANDS",
    "OPERATIONS",
    "XAVIER",
    "AdaptiveAveragePool",
    "AdaptiveBlur",
    "Add",
    "Attribute",
    "AveragePool",
    "BatchNorm",
    "Bias",
    "Blur",
    "BlurPool",
    "Call",
    "ColourMixing",
    "ColourMixingAfter",
    "Concat",
    "Conv2d",
    "Crop",
    "CropToPackets",
    "Deinterleave",
    "Dropout",
    "EnergyNorm",
    "Flatten",
    "Gelu",
    "GroupNorm",
    "Input",
    "Interleave",
    "Invariant",
    "KeepPackets",
    "LeakyRelu",
    "Linear",
    "MaxBlurPool",
    "MaxPool",
    "Modulus",
    "NormMaxPool",
    "Operation",
    "PacketBank",
    "PacketMixing",
    "Packets",
    "ParameterCounts",
    "RealPart",
    "Relu",
    "ReluMaxPool",
    "Scattering",
    "Shape",
    "SliceChannels",
    "SlidingWindow",
    "Source",
    "Subsample",
    "UnfitError",
    "UserModule",
    "WaveletPool",
    "literal",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
