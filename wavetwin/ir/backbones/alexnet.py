"""Describe AlexNet, as torchvision has it, and its blurring variant."""

from __future__ import annotations

from wavetwin.ir.architecture import (
    Architecture,
    NoForeignNamesError,
    TrunkOptions,
)
from wavetwin.ir.builder import GraphBuilder, add_conv, add_linear
from wavetwin.ir.foreign_names import branch_names, check_twin, counted_names, twin_stem_names
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import (
    AdaptiveAveragePool,
    AdaptiveBlur,
    Dropout,
    Flatten,
    Modulus,
    Packets,
    Relu,
)

__all__ = ["ARCHITECTURES"]


class AlexNet(Architecture):
    """Five convolutions without norms, and three fully connected layers."""

    family = "AlexNets"

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add convolutions 2 to 5, two of them with a pooling, and the classifier."""
        arch = ("backbone.arch",)
        down = ("backbone.downsampling",)

        def conv(current: str, number: int, channels: int, kernel_size: int) -> str:
            current = add_conv(
                builder,
                f"trunk.conv{number}",
                current,
                channels,
                kernel_size,
                padding=kernel_size // 2,
                bias=True,
            )
            return builder.add(f"trunk.relu{number}", Relu(), current)

        def pool(current: str, number: int) -> str:
            ids = f"trunk.pool{number}", f"trunk.blur{number}"
            return options.add_maximum(builder, ids, current, 3, down)

        current = pool(conv(source, 2, 192, 5), 2)
        current = conv(current, 3, 384, 3)
        current = conv(current, 4, 256, 3)
        current = pool(conv(current, 5, 256, 3), 5)
        average = AdaptiveAveragePool(output_size=6)
        current = builder.add("trunk.avgpool", average, current, fields=arch)
        current = builder.add("trunk.flatten", Flatten(), current)
        for number, features in ((6, 4096), (7, 4096)):
            current = builder.add(f"trunk.dropout{number}", Dropout(probability=0.5), current)
            current = add_linear(builder, f"trunk.fc{number}", current, features, arch)
            current = builder.add(f"trunk.relu{number}", Relu(), current)
        classes = ("data.dataset", "data.num_classes")
        add_linear(builder, "trunk.fc8", current, options.num_classes, classes)

    def module_names(self, graph: ModuleGraph) -> dict[str, str]:
        """Return torchvision's names; of a twin, those of the published implementation."""
        trunk = graph.section("trunk")
        if graph.find(Packets) is None:
            counted = counted_names([*graph.section("pool"), *trunk], 1)
            return {"stem.free": "features.0."} | counted
        check_twin(graph)
        if graph.find(AdaptiveBlur, "pool") is not None:
            raise NoForeignNamesError(
                f"{graph.name}: the reference's AlexNet twins have no adaptive blurs"
            )
        # With the modulus the wavelet channels are a branch also where they are alone.
        branches = branch_names(graph, "features.1.", graph.find(Modulus) is not None)
        return twin_stem_names(graph, "features.0.") | branches | counted_names(trunk, 2)


ARCHITECTURES = (
    AlexNet(
        name="alexnet",
        first_layer_width=64,
        kernel_size=11,
        stride=4,
        padding=2,
        norm="none",
        colour_initial=(1.0036, 1.1630, 0.8334),
        pooling_padding=0,
        twin_starter="base/alexnet_twin.yaml",
        splits_stride=True,
    ),
)
