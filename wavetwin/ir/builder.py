"""Build graphs node by node, with the groups of nodes that several sections use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node, make_node
from wavetwin.ir.operations import BatchNorm, Concat, Conv2d, Crop, Linear, Operation

__all__ = [
    "GraphBuilder",
    "Origins",
    "Replacement",
    "add_batch_norm",
    "add_conv",
    "add_linear",
    "crop_and_concat",
]

Origins = Callable[[str], str | None]
"""From a field's key path to the `path:line` that set it; None for a default."""


Replacement = Callable[["GraphBuilder", str, Operation, str], str]
"""Adds what takes a node's place: from the node's id, its operation and what it reads to the last id."""


class GraphBuilder:
    """Adds nodes one after another; remembers nothing but the nodes, and what takes others' places."""

    def __init__(
        self, name: str, origins: Origins, replacements: Mapping[str, Replacement] | None = None
    ) -> None:
        self.name = name
        self._origins = origins
        self._replacements = dict(replacements or {})
        self._nodes: dict[str, Node] = {}

    def add(
        self,
        node_id: str,
        operation: Operation,
        *inputs: str,
        fields: Sequence[str] = (),
    ) -> str:
        """Add a node that comes from these spec fields, or what takes its place; return the last id.

        Raises:
            ShapeError: the operation has no output for these inputs.
        """
        replacement = self._replacements.pop(node_id, None)
        if replacement is not None:
            (source,) = inputs
            return replacement(self, node_id, operation, source)
        locations = dict.fromkeys(line for field in fields if (line := self._origins(field)))
        self._nodes[node_id] = make_node(
            node_id, operation, [self._nodes[source] for source in inputs], tuple(locations)
        )
        return node_id

    def shape(self, node_id: str) -> tuple[int, ...]:
        """Return the shape of a node's output."""
        return self._nodes[node_id].output_shape

    def graph(self) -> ModuleGraph:
        """Return the graph of what was added, in that order."""
        return ModuleGraph(self.name, tuple(self._nodes.values()))


def add_batch_norm(builder: GraphBuilder, node_id: str, current: str) -> str:
    """Add a batch norm over all channels and return its id."""
    return builder.add(node_id, BatchNorm.of(builder.shape(current)[0]), current)


def add_conv(
    builder: GraphBuilder,
    node_id: str,
    current: str,
    channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    bias: bool = False,
    initial: str = "default",
    fields: Sequence[str] = ("backbone.arch",),
) -> str:
    """Add a convolution and return its id."""
    conv = Conv2d(
        channels=channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        groups=1,
        bias=bias,
        initial=initial,
        frozen=False,
    )
    return builder.add(node_id, conv, current, fields=fields)


def add_linear(
    builder: GraphBuilder,
    node_id: str,
    current: str,
    features: int,
    fields: Sequence[str],
    initial: str = "default",
) -> str:
    """Add a fully connected layer and return its id."""
    linear = Linear(features=features, bias=True, initial=initial)
    return builder.add(node_id, linear, current, fields=fields)


def crop_and_concat(builder: GraphBuilder, prefix: str, free: str, wavelet: str) -> str:
    """Centre-crop both to the smaller height and width, then put the free channels first."""
    cropped = (
        builder.add(f"{prefix}.crop_free", Crop(), free, wavelet),
        builder.add(f"{prefix}.crop_wavelet", Crop(), wavelet, free),
    )
    return builder.add(f"{prefix}.concat", Concat(), *cropped)
