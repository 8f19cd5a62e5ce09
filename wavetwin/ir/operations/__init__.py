"""Define a module graph's operations: a class each, with attributes, shapes, weights and layer.

`OPERATIONS` has all of them by the names that graph.json uses; docs/graph.md lists them.
"""

from __future__ import annotations

from wavetwin.ir.operations.blurs import AdaptiveBlur, Blur, BlurPool, MaxBlurPool
from wavetwin.ir.operations.networks import (
    KAIMING,
    NORMAL,
    AdaptiveAveragePool,
    Add,
    AveragePool,
    BatchNorm,
    Bias,
    Conv2d,
    Dropout,
    EnergyNorm,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Relu,
    SlidingWindow,
)
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
from wavetwin.ir.operations.scattering import Invariant, Scattering
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
    "OPERATIONS",
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
    "Input",
    "Interleave",
    "Invariant",
    "KeepPackets",
    "Linear",
    "MaxBlurPool",
    "MaxPool",
    "Modulus",
    "Operation",
    "PacketBank",
    "PacketMixing",
    "Packets",
    "ParameterCounts",
    "RealPart",
    "Relu",
    "Scattering",
    "Shape",
    "SliceChannels",
    "SlidingWindow",
    "Source",
    "Subsample",
    "UnfitError",
    "WaveletPool",
    "literal",
]
