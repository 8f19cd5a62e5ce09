"""Put the channels of a network's first layer into another order, and leave what it computes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Conv2d, Linear
from wavetwin.runtime.process.errors import RunError

__all__ = ["reorder_channels"]


def reorder_channels(
    graph: ModuleGraph, state: Mapping[str, Tensor], order: Sequence[int]
) -> dict[str, Tensor]:
    """Return the weights of the same function whose first layer has its channels in another order.

    Norms and poolings take their channels along. So do sums: behind the first layer of a ResNet all
    layers that write into the first stage's residual stream give their outputs in the new order. What
    reads the last of these channels takes its inputs in that order, and nothing behind it changes.

    Args:
        graph: of the CNN, as written; its first layer is `stem.free`.
        state: its weights; what is missing is missing from the result.
        order: for each channel the number of the one that takes its place.

    Raises:
        RunError: some layer does not take its channels in any order.
    """
    groups = _Groups(graph)
    first = groups.of("stem.free")
    if groups.of(graph.output.id) == first:
        raise _not_in_any_order(graph, graph.output)
    chosen, result = torch.tensor(order), dict(state)
    for node in graph:
        if not node.inputs:
            continue
        reads = any(groups.of(source) == first for source in node.inputs)
        writes = groups.of(node.id) == first
        if not (reads or writes):
            continue
        if not (_mixes_channels(node) or node.operation.works_channel_by_channel):
            raise _not_in_any_order(graph, node)
        for label in node.operation.state(graph.by_id[node.inputs[0]].output_shape):
            name = f"{node.id}.{label}"
            if name not in result:
                continue
            value = result[name]
            if writes and value.ndim:
                value = _in_order(value, 0, chosen)
            if reads and _mixes_channels(node) and value.ndim > 1:
                value = _in_order(value, 1, chosen)
            result[name] = value
    return result


class _Groups:
    """Nodes whose outputs have the same channels, in the same order."""

    def __init__(self, graph: ModuleGraph) -> None:
        self._leaders = {node.id: node.id for node in graph}
        for node in graph:
            if not _mixes_channels(node):
                for source in node.inputs:
                    self._leaders[self.of(node.id)] = self.of(source)

    def of(self, node_id: str) -> str:
        """Return the node that stands for a node's group."""
        while self._leaders[node_id] != node_id:
            node_id = self._leaders[node_id]
        return node_id


def _mixes_channels(node: Node) -> bool:
    operation = node.operation
    return isinstance(operation, Linear) or (
        isinstance(operation, Conv2d) and operation.groups == 1
    )


def _in_order(value: Tensor, dim: int, order: Tensor) -> Tensor:
    """Return a tensor with its channels in order; of a flattened map each has several entries."""
    parts = value.unflatten(dim, (len(order), -1))
    return parts.index_select(dim, order).flatten(dim, dim + 1)


def _not_in_any_order(graph: ModuleGraph, node: Node) -> RunError:
    return RunError(
        "projection-does-not-apply",
        f"the first layer's channels cannot be put into the twin's order: {node.id} ({node.op}) does "
        "not take them in any order",
        "load the trunk alone: remove weights.stem, and set weights.parts to [trunk]",
        subject=graph.name,
    )
