"""Read the items of `backbone.layers`, with the language's defaults."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ConvLayer, ExperimentSpec, PoolLayer, SequentialLayer
from wavetwin.ir.architecture import ListedLayer
from wavetwin.ir.operations import (
    AdaptiveAveragePool,
    AveragePool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Operation,
    Relu,
    Shape,
)


def listed_layers(spec: ExperimentSpec) -> Iterator[ListedLayer]:
    """Yield the layers that a resolved spec lists."""
    for layer in spec.backbone.layers:
        (kind,) = (name for name in type(layer).model_fields if getattr(layer, name) is not None)

        def operation(shape: Shape, layer: SequentialLayer = layer) -> Operation:
            return _operation(layer, shape, spec.data.num_classes or 0)

        yield ListedLayer(kind, operation)


def _operation(layer: SequentialLayer, shape: Shape, num_classes: int) -> Operation:
    if layer.conv is not None:
        return _convolution(layer.conv)
    if layer.norm is not None:
        return BatchNorm.of(shape[0])
    if layer.pool is not None:
        return _pooling(layer.pool)
    if layer.dropout is not None:
        return Dropout(probability=layer.dropout.probability)
    if layer.linear is not None:
        features = layer.linear.features or num_classes
        return Linear(features=features, bias=layer.linear.bias, initial="default")
    return Relu() if layer.relu is not None else Flatten()


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
