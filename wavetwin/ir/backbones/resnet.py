"""Describe residual networks, as torchvision has them, and their blurring variants."""

from __future__ import annotations

from wavetwin.ir.architecture import Architecture, TrunkOptions
from wavetwin.ir.builder import GraphBuilder, add_batch_norm, add_conv, add_linear
from wavetwin.ir.foreign_names import branch_names, check_twin, twin_stem_names
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import KAIMING, AdaptiveAveragePool, Add, Flatten, Packets, Relu

__all__ = ["ARCHITECTURES"]

_ARCH = ("backbone.arch",)
_DOWN = ("backbone.arch", "backbone.downsampling")


@frozen(kw_only=True)
class ResNet(Architecture):
    """Four stages of residual blocks, and one fully connected layer."""

    family = "ResNets"

    blocks: tuple[int, int, int, int]
    """Residual blocks of each stage."""
    has_bottlenecks: bool
    """Whether a block is 1x1, 3x3 and 1x1 convolution instead of two 3x3 ones."""

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add the stages and the classifier."""
        current = source
        for stage, blocks in enumerate(self.blocks, start=1):
            for block in range(blocks):
                current = self._add_block(
                    builder,
                    options,
                    f"trunk.layer{stage}.{block}",
                    current,
                    64 * 2 ** (stage - 1),
                    2 if stage > 1 and block == 0 else 1,
                )
        average = AdaptiveAveragePool(output_size=1)
        current = builder.add("trunk.avgpool", average, current, fields=_ARCH)
        current = builder.add("trunk.flatten", Flatten(), current)
        classes = ("data.dataset", "data.num_classes")
        add_linear(builder, "trunk.fc", current, options.num_classes, classes)

    def _add_block(
        self,
        builder: GraphBuilder,
        options: TrunkOptions,
        prefix: str,
        source: str,
        width: int,
        stride: int,
    ) -> str:
        """Add a residual block; where something else halves the resolution, convolutions do not."""
        is_behind = stride == 2 and options.reduction is not None
        is_blurred = options.reduction is not None and options.reduction.is_blur
        conv_stride = 1 if is_behind else stride

        def conv(current: str, number: int, channels: int, kernel_size: int, step: int = 1) -> str:
            current = add_conv(
                builder,
                f"{prefix}.conv{number}",
                current,
                channels,
                kernel_size,
                stride=step,
                padding=kernel_size // 2,
                initial=KAIMING,
                fields=_DOWN if step == 2 else _ARCH,
            )
            return add_batch_norm(builder, f"{prefix}.bn{number}", current)

        def halve(current: str, name: str) -> str:
            if not is_behind:
                return current
            own = "blur" if is_blurred else "pool"
            return options.add_reduction(builder, f"{name}.{own}", current, _DOWN)

        outputs = width * 4 if self.has_bottlenecks else width
        if self.has_bottlenecks:
            current = builder.add(f"{prefix}.relu1", Relu(), conv(source, 1, width, 1))
            current = conv(current, 2, width, 3, conv_stride)
            current = builder.add(f"{prefix}.relu2", Relu(), current)
            current = conv(halve(current, prefix), 3, outputs, 1)
        else:
            current = conv(source, 1, width, 3, conv_stride)
            current = builder.add(f"{prefix}.relu1", Relu(), current)
            current = conv(halve(current, prefix), 2, width, 3)
        shortcut = source
        if stride == 2 or builder.shape(source)[0] != outputs:
            shortcut = add_conv(
                builder,
                f"{prefix}.downsample.conv",
                halve(shortcut, f"{prefix}.downsample"),
                outputs,
                1,
                stride=conv_stride,
                initial=KAIMING,
                fields=_DOWN if stride == 2 else _ARCH,
            )
            shortcut = add_batch_norm(builder, f"{prefix}.downsample.bn", shortcut)
        current = builder.add(f"{prefix}.add", Add(), current, shortcut)
        return builder.add(f"{prefix}.relu", Relu(), current)

    def module_names(self, graph: ModuleGraph) -> dict[str, str]:
        """Return torchvision's names; of a twin, those of the published implementation."""
        trunk = _trunk_names(graph)
        if graph.find(Packets) is None:
            return {"stem.free": "conv1.", "pool.norm": "bn1.", "pool.blur": "maxpool.1."} | trunk
        check_twin(graph)
        return twin_stem_names(graph, "conv1.") | branch_names(graph, "maxpool.", False) | trunk


def _trunk_names(graph: ModuleGraph) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in graph.section("trunk"):
        if not node.parameters.total and not node.operation.is_blur:
            continue
        block, _, layer = node.id.removeprefix("trunk.").rpartition(".")
        if block.endswith(".downsample"):
            blurs = f"trunk.{block}.blur" in graph.by_id
            index = {"blur": 0, "conv": int(blurs), "bn": 1 + int(blurs)}[layer]
            names[node.id] = f"{block}.{index}."
            continue
        # A blur stands in a sequence with the block's last convolution.
        last = "conv3" if f"trunk.{block}.conv3" in graph.by_id else "conv2"
        if layer == "blur":
            names[node.id] = f"{block}.{last}.0."
        elif layer == last and f"trunk.{block}.blur" in graph.by_id:
            names[node.id] = f"{block}.{last}.1."
        else:
            names[node.id] = f"{block}.{layer}." if block else f"{layer}."
    return names


def _row(depth: int, blocks: tuple[int, int, int, int], has_bottlenecks: bool = False) -> ResNet:
    return ResNet(
        name=f"resnet{depth}",
        first_layer_width=64,
        kernel_size=7,
        stride=2,
        padding=3,
        norm="batch",
        colour_initial=(0.9802, 1.3060, 0.7138),
        pooling_padding=1,
        twin_starter="base/resnet_twin.yaml",
        takes_smaller_window=True,
        first_layer_initial=KAIMING,
        blocks=blocks,
        has_bottlenecks=has_bottlenecks,
    )


ARCHITECTURES = (
    _row(18, (2, 2, 2, 2)),
    _row(34, (3, 4, 6, 3)),
    _row(50, (3, 4, 6, 3), has_bottlenecks=True),
    _row(101, (3, 4, 23, 3), has_bottlenecks=True),
)
