"""Offer the layers of the twins, each usable on its own in anybody's model.

`__all__` has those that docs/layers.md offers. The layer that an operation names is known by being in a
module of this package.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from wavetwin.runtime.layers.adaptive_blur import AdaptiveBlur
from wavetwin.runtime.layers.blur import BlurPool
from wavetwin.runtime.layers.by_kernel import use_native_kernel
from wavetwin.runtime.layers.fused import CropToPackets, MixedPackets
from wavetwin.runtime.layers.images import check_images
from wavetwin.runtime.layers.invariant import Invariant
from wavetwin.runtime.layers.max_blur import MaxBlurPool
from wavetwin.runtime.layers.mixing import ColourMixing, ColourMixingAfter, PacketMixing
from wavetwin.runtime.layers.modulus import ChannelBias, EnergyNorm, Modulus, modulus
from wavetwin.runtime.layers.packets import (
    DualTreePacketMaps,
    DualTreePackets,
    KeepPackets,
    SeparablePackets,
)
from wavetwin.runtime.layers.parts import Deinterleave, Interleave, RealPart, map_parts
from wavetwin.runtime.layers.pooling import Subsample
from wavetwin.runtime.layers.scattering import Scattering2d
from wavetwin.runtime.layers.stem import (
    Add,
    CenterCrop,
    CenterCropConcat,
    Concat,
    SliceChannels,
    center_crop_window,
    crop_about_centre,
)
from wavetwin.runtime.layers.traced import leaf_modules
from wavetwin.runtime.layers.wavelet_pool import WaveletPool2d
from wavetwin.runtime.layers.wavelet_unpool import WaveletUnpool2d

__all__ = [
    "AdaptiveBlur",
    "Add",
    "BlurPool",
    "CenterCrop",
    "CenterCropConcat",
    "ChannelBias",
    "ColourMixing",
    "ColourMixingAfter",
    "Concat",
    "CropToPackets",
    "Deinterleave",
    "DualTreePacketMaps",
    "DualTreePackets",
    "EnergyNorm",
    "Interleave",
    "Invariant",
    "KeepPackets",
    "MaxBlurPool",
    "MixedPackets",
    "Modulus",
    "PacketMixing",
    "RealPart",
    "Scattering2d",
    "SeparablePackets",
    "SliceChannels",
    "Subsample",
    "WaveletPool2d",
    "WaveletUnpool2d",
    "center_crop_window",
    "check_images",
    "crop_about_centre",
    "leaf_modules",
    "map_parts",
    "modulus",
    "use_native_kernel",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> type:
        """Return a class of one of the modules, which no list above names."""
        modules = [each.name for each in iter_modules(__path__)]
        for module in modules if name not in modules and not name.startswith("_") else ():
            found = vars(import_module(f"{__name__}.{module}")).get(name)
            if isinstance(found, type) and found.__module__ == f"{__name__}.{module}":
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
