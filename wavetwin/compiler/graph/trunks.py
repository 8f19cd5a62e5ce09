"""The trunks' nodes: AlexNet, the residual networks, and a list of layers."""

from __future__ import annotations

from wavetwin.compiler.graph.builder import (
    ADAPTIVE_TRUNK_GROUPS,
    GraphBuilder,
    add_batch_norm,
    add_blur,
    add_conv,
    add_linear,
    batch_norm,
)
from wavetwin.compiler.schema import ConvLayer, ExperimentSpec, PoolLayer, SequentialLayer
from wavetwin.ir.backbones import BackboneMetadata
from wavetwin.ir.node import ShapeError
from wavetwin.ir.operations import (
    KAIMING,
    AdaptiveAveragePool,
    Add,
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Operation,
    Relu,
)


def add_alexnet_trunk(
    builder: GraphBuilder, spec: ExperimentSpec, current: str, num_classes: int
) -> None:
    """Add everything after the first pooling of an AlexNet."""
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
        kind = spec.backbone.downsampling
        maximum = MaxPool(kernel_size=3, stride=2 if kind == "strided" else 1, padding=0)
        current = builder.add(f"trunk.pool{number}", maximum, current, fields=down)
        if kind == "strided":
            return current
        return add_blur(
            builder, spec, f"trunk.blur{number}", current, kind, down, ADAPTIVE_TRUNK_GROUPS
        )

    current = pool(conv(current, 2, 192, 5), 2)
    current = conv(current, 3, 384, 3)
    current = conv(current, 4, 256, 3)
    current = pool(conv(current, 5, 256, 3), 5)
    current = builder.add("trunk.avgpool", AdaptiveAveragePool(output_size=6), current, fields=arch)
    current = builder.add("trunk.flatten", Flatten(), current)
    for number, features in ((6, 4096), (7, 4096)):
        current = builder.add(f"trunk.dropout{number}", Dropout(probability=0.5), current)
        current = add_linear(builder, f"trunk.fc{number}", current, features, arch)
        current = builder.add(f"trunk.relu{number}", Relu(), current)
    add_linear(builder, "trunk.fc8", current, num_classes, ("data.dataset", "data.num_classes"))


def add_resnet_trunk(
    builder: GraphBuilder,
    spec: ExperimentSpec,
    metadata: BackboneMetadata,
    current: str,
    num_classes: int,
) -> None:
    """Add everything after the first pooling of a residual network."""
    assert metadata.blocks is not None
    for stage, blocks in enumerate(metadata.blocks, start=1):
        width = 64 * 2 ** (stage - 1)
        for block in range(blocks):
            current = _add_residual_block(
                builder,
                spec,
                metadata.bottleneck,
                f"trunk.layer{stage}.{block}",
                current,
                width,
                2 if stage > 1 and block == 0 else 1,
            )
    current = builder.add(
        "trunk.avgpool", AdaptiveAveragePool(output_size=1), current, fields=("backbone.arch",)
    )
    current = builder.add("trunk.flatten", Flatten(), current)
    add_linear(builder, "trunk.fc", current, num_classes, ("data.dataset", "data.num_classes"))


def _add_residual_block(
    builder: GraphBuilder,
    spec: ExperimentSpec,
    bottleneck: bool,
    prefix: str,
    source: str,
    width: int,
    stride: int,
) -> str:
    """Add a basic block or a bottleneck; where the trunk blurs, its convolutions have stride 1."""
    kind = spec.backbone.downsampling
    blurs = stride == 2 and kind != "strided"
    conv_stride = 1 if blurs else stride
    down = ("backbone.arch", "backbone.downsampling")

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
            fields=down if step == 2 else ("backbone.arch",),
        )
        return add_batch_norm(builder, f"{prefix}.bn{number}", current)

    def blur(current: str, node_id: str) -> str:
        return add_blur(builder, spec, node_id, current, kind, down, ADAPTIVE_TRUNK_GROUPS)

    outputs = width * 4 if bottleneck else width
    if bottleneck:
        current = builder.add(f"{prefix}.relu1", Relu(), conv(source, 1, width, 1))
        current = conv(current, 2, width, 3, conv_stride)
        current = builder.add(f"{prefix}.relu2", Relu(), current)
        current = blur(current, f"{prefix}.blur") if blurs else current
        current = conv(current, 3, outputs, 1)
    else:
        current = conv(source, 1, width, 3, conv_stride)
        current = builder.add(f"{prefix}.relu1", Relu(), current)
        current = blur(current, f"{prefix}.blur") if blurs else current
        current = conv(current, 2, width, 3)
    shortcut = source
    if stride == 2 or builder.shape(source)[0] != outputs:
        if blurs:
            shortcut = blur(shortcut, f"{prefix}.downsample.blur")
        shortcut = add_conv(
            builder,
            f"{prefix}.downsample.conv",
            shortcut,
            outputs,
            1,
            stride=conv_stride,
            initial=KAIMING,
            fields=down if stride == 2 else ("backbone.arch",),
        )
        shortcut = add_batch_norm(builder, f"{prefix}.downsample.bn", shortcut)
    current = builder.add(f"{prefix}.add", Add(), current, shortcut)
    return builder.add(f"{prefix}.relu", Relu(), current)


def add_sequential_trunk(
    builder: GraphBuilder, spec: ExperimentSpec, current: str, num_classes: int
) -> None:
    """Add the layers that the spec lists."""
    counts: dict[str, int] = {}
    for index, layer in enumerate(spec.backbone.layers):
        kind, operation = _sequential_layer(layer, builder.shape(current), num_classes)
        counts[kind] = counts.get(kind, 0) + 1
        try:
            current = builder.add(
                f"trunk.{kind}{counts[kind]}",
                operation,
                current,
                fields=(f"backbone.layers.{index}",),
            )
        except ShapeError as error:
            error.layer = index
            raise


def _sequential_layer(
    layer: SequentialLayer, shape: tuple[int, ...], num_classes: int
) -> tuple[str, Operation]:
    """Return a layer's kind and its operation, with the language's defaults."""
    if layer.conv is not None:
        return "conv", _convolution(layer.conv)
    if layer.norm is not None:
        return "norm", batch_norm(shape[0])
    if layer.pool is not None:
        return "pool", _pooling(layer.pool)
    if layer.dropout is not None:
        return "dropout", Dropout(probability=layer.dropout.probability)
    if layer.linear is not None:
        features = layer.linear.features or num_classes
        return "linear", Linear(features=features, bias=layer.linear.bias, initial="default")
    return ("relu", Relu()) if layer.relu is not None else ("flatten", Flatten())


def _convolution(conv: ConvLayer) -> Conv2d:
    return Conv2d(
        channels=conv.channels,
        kernel_size=conv.kernel_size,
        stride=conv.stride,
        padding=(conv.kernel_size - 1) // 2 if conv.padding is None else conv.padding,
        groups=conv.groups,
        bias=conv.bias,
        initial="default",
        frozen=False,
    )


def _pooling(pool: PoolLayer) -> Operation:
    if pool.kind == "global_average":
        return AdaptiveAveragePool(output_size=1)
    size = pool.kernel_size or 2
    window = AveragePool if pool.kind == "average" else MaxPool
    return window(kernel_size=size, stride=pool.stride or size, padding=pool.padding or 0)
