"""Describe VGG networks, as torchvision has them, and variants whose trunk blurs.

Five blocks of 3x3 convolutions, each with a maximum over 2x2 at its end. The first convolution is the
first layer. Where block 1 has no other, its maximum is the first pooling (VGG-11); elsewhere nothing is
pooled between the first and the second convolution (VGG-16).
"""

from __future__ import annotations

from typing import Literal

from wavetwin.ir.architecture import Architecture, NoForeignNamesError, TrunkOptions
from wavetwin.ir.builder import GraphBuilder, add_batch_norm, add_conv, add_linear
from wavetwin.ir.foreign_names import counted_names
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import (
    KAIMING,
    NORMAL,
    AdaptiveAveragePool,
    Dropout,
    Flatten,
    Packets,
    Relu,
)

__all__ = ["ARCHITECTURES"]

_ARCH = ("backbone.arch",)
_DOWN = ("backbone.downsampling",)
_WIDTHS = (64, 128, 256, 512, 512)


@frozen(kw_only=True)
class Vgg(Architecture):
    """Five blocks of convolutions, and three fully connected layers."""

    family = "VGGs"

    blocks: tuple[int, int, int, int, int]
    """Convolutions of each block."""

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add what is left of block 1, the other blocks, and the classifier."""
        current = source
        for block, (convolutions, width) in enumerate(zip(self.blocks, _WIDTHS, strict=True), 1):
            is_first = block == 1
            for number in range(2 if is_first else 1, convolutions + 1):
                current = self._add_conv(builder, f"{block}_{number}", current, width)
            if not is_first or convolutions > 1:
                ids = f"trunk.pool{block}", f"trunk.blur{block}"
                current = options.add_maximum(builder, ids, current, 2, _DOWN)
        average = AdaptiveAveragePool(output_size=7)
        current = builder.add("trunk.avgpool", average, current, fields=_ARCH)
        current = builder.add("trunk.flatten", Flatten(), current)
        for number in (6, 7):
            current = add_linear(builder, f"trunk.fc{number}", current, 4096, _ARCH, NORMAL)
            current = builder.add(f"trunk.relu{number}", Relu(), current)
            current = builder.add(f"trunk.dropout{number}", Dropout(probability=0.5), current)
        classes = ("data.dataset", "data.num_classes")
        add_linear(builder, "trunk.fc8", current, options.num_classes, classes, NORMAL)

    def _add_conv(self, builder: GraphBuilder, name: str, current: str, width: int) -> str:
        current = add_conv(
            builder, f"trunk.conv{name}", current, width, 3, padding=1, bias=True, initial=KAIMING
        )
        if self.norm == "batch":
            current = add_batch_norm(builder, f"trunk.bn{name}", current)
        return builder.add(f"trunk.relu{name}", Relu(), current)

    def module_names(self, graph: ModuleGraph) -> dict[str, str]:
        """Return torchvision's names, which count; a maximum and its blur count as two."""
        if graph.find(Packets) is not None:
            raise NoForeignNamesError(f"{graph.name}: nobody else has twins of {self.family}")
        counted = counted_names([*graph.section("pool"), *graph.section("trunk")], 1)
        return {"stem.free": "features.0."} | counted


def _row(name: str, norm: Literal["batch", "none"], blocks: tuple[int, int, int, int, int]) -> Vgg:
    return Vgg(
        name=name,
        first_layer_width=_WIDTHS[0],
        kernel_size=3,
        stride=1,
        padding=1,
        norm=norm,
        has_bias_before_norm=True,
        first_layer_initial=KAIMING,
        colour_initial=(1.0, 1.0, 1.0),
        pooling="max" if blocks[0] == 1 else "none",
        pooling_kernel_size=2,
        pooling_padding=0,
        twin_starter="base/vgg_twin.yaml",
        blocks=blocks,
    )


_BLOCKS_11 = (1, 1, 2, 2, 2)
_BLOCKS_16 = (2, 2, 3, 3, 3)
ARCHITECTURES = (
    _row("vgg11", "none", _BLOCKS_11),
    _row("vgg11_bn", "batch", _BLOCKS_11),
    _row("vgg16", "none", _BLOCKS_16),
    _row("vgg16_bn", "batch", _BLOCKS_16),
)
