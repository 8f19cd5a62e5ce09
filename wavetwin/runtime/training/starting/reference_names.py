"""Name weights as the reference implementation's state dicts do, and torchvision's.

Derived from the graph: what a module is called says its backbone's family
(`Architecture.module_names`), what is below a module stands here. Standard networks have
torchvision's names, or those of its anti-aliased variants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wavetwin.ir.architecture import NoForeignNamesError
from wavetwin.ir.backbones import ARCHITECTURES, find_architecture
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import (
    AdaptiveBlur,
    Bias,
    BlurPool,
    Operation,
    Packets,
    UserModule,
    WaveletPool,
)

__all__ = ["reference_constants", "reference_module", "reference_to_graph_names"]

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_PARAMETERS: Mapping[type[Operation], Mapping[str, str]] = {
    Packets: {"low": "_hfilters", "high": "_gfilters"},
    AdaptiveBlur: {f"norm.{name}": f"bn.{name}" for name in _NORM},
}
"""Where the reference's names below the module are others than ours, by ours."""


def reference_to_graph_names(graph: ModuleGraph) -> dict[str, str]:
    """Return the reference's name of every parameter and running statistic, and the graph's.

    The order is the graph's. The same tensor has the same shape under both names, but for mixing
    weights, which the reference keeps as (out, in / groups, 1, 1, 1).

    Args:
        graph: as written, not optimised.

    Raises:
        NoForeignNamesError: the reference and torchvision have no such network; the message says
            why.
    """
    modules = _module_names(graph)
    names: dict[str, str] = {}
    for node in graph:
        if node.parameters.total:
            # Nobody else has a layer of the project's: it has its own name in every file.
            is_own = isinstance(node.operation, UserModule)
            module = f"{node.id}." if is_own else modules[node.id]
            for theirs, ours in _parameters(graph, node):
                names[f"{module}{theirs}"] = f"{node.id}.{ours}"
    return names


def reference_constants(graph: ModuleGraph) -> dict[str, str]:
    """Return the reference's names of what is constant there and no state here, and the nodes' ids.

    Filters of the packets and of the blurs, and the bias layer's weight, which is one. Arguments and
    errors are those of `reference_to_graph_names`.
    """
    modules = _module_names(graph)
    names: dict[str, str] = {}
    for node in graph:
        operation = node.operation
        if isinstance(operation, Packets) and not operation.trainable_filters:
            for taps in ("_hfilters", "_gfilters"):
                names[f"{modules[node.id]}{taps}"] = node.id
        elif isinstance(operation, BlurPool):
            names[f"{modules[node.id]}filt"] = node.id
        elif isinstance(operation, Bias):
            names[f"{modules[node.id]}weight"] = node.id
    return names


def reference_module(graph: ModuleGraph, node: Node) -> str | None:
    """Return what others call a node's module, with the final dot; None where they have none.

    Of a layer of the project's own that is the layer whose place it takes.
    """
    try:
        return _module_names(graph).get(node.id)
    except NoForeignNamesError:
        return None


def _parameters(graph: ModuleGraph, node: Node) -> Iterator[tuple[str, str]]:
    """Yield the names of a node's state below its module: the reference's and ours."""
    names = _PARAMETERS.get(type(node.operation), {})
    (source,) = graph.inputs_of(node)
    for ours in node.operation.state(source.output_shape):
        yield names.get(ours, ours), ours


def _module_names(graph: ModuleGraph) -> dict[str, str]:
    """Return what others call the module of every node, with the final dot, by the node's id."""
    learned = [found.node for found in graph.all_of(WaveletPool) if found.node.parameters.total]
    if learned:
        raise NoForeignNamesError(
            f"{graph.name}: nobody else has the weights of the wavelet pooling {learned[0].id}"
        )
    architecture = find_architecture(graph)
    if architecture is None:
        *first, last = dict.fromkeys(
            each.family for each in ARCHITECTURES.values() if not each.lists_layers
        )
        raise NoForeignNamesError(
            f"{graph.name}: the reference and torchvision have {', '.join(first)} and {last} only"
        )
    return architecture.module_names(graph)
