"""Facts about the backbones that the language knows by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class BackboneMetadata:
    """What a spec need not say."""

    family: Literal["alexnet", "resnet", "sequential"]
    first_layer_width: int | None
    """Output channels of the first layer; None where the spec says it."""
    kernel_size: int
    """Of the first convolution."""
    stride: int
    """Of the first convolution where the first pooling does not blur."""
    blurring_stride: int
    """Of the first convolution where `pooling.free` blurs: AlexNet then moves half of the step into
    a blur."""
    padding: int
    """Of the first convolution with this kernel size."""
    norm: Literal["batch", "none"]
    """What the first pooling begins with."""
    colour_initial: tuple[float, float, float]
    """Initial weights of the colour mixing before the packets (numerics.md section 2)."""
    blocks: tuple[int, int, int, int] | None = None
    """Residual blocks per stage."""
    bottleneck: bool = False


_RESNET_COLOUR = (0.9802, 1.3060, 0.7138)


def _resnet(blocks: tuple[int, int, int, int], bottleneck: bool = False) -> BackboneMetadata:
    return BackboneMetadata("resnet", 64, 7, 2, 2, 3, "batch", _RESNET_COLOUR, blocks, bottleneck)


ARCHITECTURES: dict[str, BackboneMetadata] = {
    "alexnet": BackboneMetadata("alexnet", 64, 11, 4, 2, 2, "none", (1.0036, 1.1630, 0.8334)),
    "resnet18": _resnet((2, 2, 2, 2)),
    "resnet34": _resnet((3, 4, 6, 3)),
    "resnet50": _resnet((3, 4, 6, 3), bottleneck=True),
    "resnet101": _resnet((3, 4, 23, 3), bottleneck=True),
    "sequential": BackboneMetadata("sequential", None, 3, 1, 1, 1, "batch", (1.0, 1.0, 1.0)),
}
"""Sources: torchvision's models; numerics.md sections 2 and 3 for what the twins change."""


def default_stride(arch: str, blurs: bool) -> int:
    """Return the first layer's stride where the spec does not say it.

    Args:
        arch: the architecture's name in the language.
        blurs: whether the free channels' first pooling blurs.
    """
    metadata = ARCHITECTURES[arch]
    return metadata.blurring_stride if blurs else metadata.stride
