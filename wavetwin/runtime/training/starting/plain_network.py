"""Derive the plain CNN that a twin stands beside: whose weights a twin can start from."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from wavetwin.ir.architecture import Architecture
from wavetwin.ir.backbones import find_architecture
from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import ShapeError
from wavetwin.ir.operations import Conv2d, Operation, PacketMixing, Packets
from wavetwin.ir.poolings import FirstPooling

__all__ = ["first_layer_widths", "plain_network"]

_PER_CHANNEL = ("channels", "groups")
"""Attributes of a pooling's layers that grow with its channels."""


def first_layer_widths(graph: ModuleGraph) -> tuple[int, int]:
    """Return the numbers of free and of wavelet channels of a network's first layer."""
    free = graph.find(Conv2d, "stem")
    mixing = graph.find(PacketMixing, "stem")
    return (
        0 if free is None else free.operation.channels,
        0 if mixing is None else sum(outputs for _, outputs, _ in mixing.operation.bands),
    )


def plain_network(graph: ModuleGraph) -> ModuleGraph | None:
    """Return the graph of the CNN without wavelet channels that has a twin's other layers.

    All of its first layer's channels are free, and pooled as the twin's free ones; a twin without free
    channels has those of its architecture. The trunk is the twin's, node by node.

    Args:
        graph: of a twin, as written; of anything else the answer is None, as where no such CNN has an
            output.
    """
    packets = graph.find(Packets, "stem")
    if packets is None:
        return None
    architecture = find_architecture(graph)
    free = graph.find(Conv2d, "stem")
    num_free, num_wavelet = first_layer_widths(graph)
    if free is not None:
        conv = replace(free.operation, channels=num_free + num_wavelet)
    elif architecture is not None:
        conv = _first_layer(architecture, packets.operation.stride, num_wavelet)
    else:
        return None
    builder = GraphBuilder(graph.name, lambda field: None)
    image = builder.add(graph.input.id, graph.input.operation)
    try:
        current = builder.add("stem.free", conv, image)
        for name, operation in _pooling(graph, architecture, num_free + num_wavelet):
            current = builder.add(f"pool.{name}", operation, current)
        pooled = graph.section_outputs["pool"][-1].id
        for node in graph.section("trunk"):
            sources = (current if source == pooled else source for source in node.inputs)
            builder.add(node.id, node.operation, *sources)
    except ShapeError:
        return None
    return builder.graph()


def _first_layer(architecture: Architecture, stride: int, channels: int) -> Conv2d:
    return Conv2d(
        channels=channels,
        kernel_size=architecture.kernel_size,
        stride=stride,
        padding=architecture.padding,
        groups=1,
        bias=architecture.norm == "none" or architecture.has_bias_before_norm,
        initial="default",
        frozen=False,
    )


def _pooling(
    graph: ModuleGraph, architecture: Architecture | None, channels: int
) -> list[tuple[str, Operation]]:
    """Return names and operations of the first pooling where all channels are pooled alike."""
    nodes = [node for node in graph.section("pool") if not node.operation.moves_values]
    branched = {node.id.split(".")[1] for node in nodes if node.id.count(".") == 2}
    if not branched:
        return [(node.id.removeprefix("pool."), node.operation) for node in nodes]
    of_free = [node for node in nodes if node.id.startswith("pool.free.")]
    if of_free:
        number = of_free[0].output_shape[0]
        return [
            (node.id.removeprefix("pool.free."), _widened(node.operation, channels, number))
            for node in of_free
        ]
    assert architecture is not None, graph.name
    first = FirstPooling(
        has_norm=architecture.norm == "batch",
        window=architecture.pooling_kernel_size,
        padding=architecture.pooling_padding,
        splits_stride=architecture.splits_stride,
    )
    steps = architecture.free_pooling(None).steps_of(architecture.splits_stride)
    # Of the maps' shape these steps read the channels alone.
    maps = (channels, *graph.section_outputs["stem"][-1].output_shape[1:])
    layers = (step.layer(first, maps) for step in steps)
    return [layer for layer in layers if layer is not None]


def _widened(operation: Operation, channels: int, before: int) -> Operation:
    """Return a layer for more channels; what it has for each so many of them, it has more of."""
    known = {each.name for each in fields(operation)}.intersection(_PER_CHANNEL)
    values: dict[str, Any] = {name: getattr(operation, name) * channels // before for name in known}
    return replace(operation, **values) if values else operation
