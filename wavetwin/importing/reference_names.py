"""Names of weights in the reference implementation's state dicts, and in torchvision's.

Derived from the graph: the reference counts the layers of a sequence (`features.5`), so that a name
depends on what stands before it. Standard networks have torchvision's names, or those of its
anti-aliased variants; twins have `freeconv` and `wptblock` in the first layer and `low` (free) and
`high` (wavelet) branches in the first pooling. Without free channels the first layer is the wavelet
block itself, without `wptblock`, and the first pooling one sequence without branches; AlexNet's
with the modulus alone is `high` all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import (
    AdaptiveAveragePool,
    AdaptiveBlur,
    Bias,
    BlurPool,
    Flatten,
    Modulus,
    Operation,
    Packets,
)

__all__ = ["reference_constants", "reference_to_graph_names"]

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
        ValueError: the reference has no such network: neither an AlexNet nor a ResNet, or a twin
            of none of its kinds; the message says why.
    """
    modules = _module_names(graph)
    names: dict[str, str] = {}
    for node in graph:
        if node.parameters.total:
            for theirs, ours in _parameters(graph, node):
                names[f"{modules[node.id]}{theirs}"] = f"{node.id}.{ours}"
    return names


def reference_constants(graph: ModuleGraph) -> dict[str, str]:
    """Return the reference's names of what is constant there and no state here, and the nodes' ids.

    Filters of the packets and of the blurs, and the bias layer's weight, which is one.
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


def _parameters(graph: ModuleGraph, node: Node) -> Iterator[tuple[str, str]]:
    """Yield the names of a node's state below its module: the reference's and ours."""
    names = _PARAMETERS.get(type(node.operation), {})
    (source,) = graph.inputs_of(node)
    for ours in node.operation.state(source.output_shape):
        yield names.get(ours, ours), ours


def _module_names(graph: ModuleGraph) -> dict[str, str]:
    """Return the reference's prefix of every node, with the final dot, by id."""
    ids = {node.id for node in graph}
    is_twin = graph.find(Packets) is not None
    is_alexnet = "trunk.fc8" in ids
    if not is_alexnet and "trunk.layer1.0.conv1" not in ids:
        raise ValueError(f"{graph.name}: the reference has AlexNets and ResNets only")
    if is_twin:
        _check_twin(graph, is_alexnet)
    if is_alexnet:
        pool_names = _branches(graph, "features.1.", is_alexnet) if is_twin else {}
        return _stem(graph, "features.0.", is_twin) | pool_names | _alexnet(graph, is_twin)
    if is_twin:
        pool_names = _branches(graph, "maxpool.", is_alexnet)
    else:
        pool_names = {"pool.norm": "bn1.", "pool.blur": "maxpool.1."}
    return _stem(graph, "conv1.", is_twin) | pool_names | _resnet(graph)


def _check_twin(graph: ModuleGraph, is_alexnet: bool) -> None:
    """Raise a ValueError for twins that the reference cannot build."""
    if not any(node.id == "stem.wavelet.colour" for node in graph):
        raise ValueError(f"{graph.name}: the reference's twins are of images in colour")
    if is_alexnet and graph.find(AdaptiveBlur, "pool") is not None:
        raise ValueError(f"{graph.name}: the reference's AlexNet twins have no adaptive blurs")


def _stem(graph: ModuleGraph, prefix: str, is_twin: bool) -> dict[str, str]:
    if not is_twin:
        return {"stem.free": prefix}
    block = f"{prefix}wptblock." if _has_free_channels(graph) else prefix
    return {
        "stem.free": f"{prefix}freeconv.",
        "stem.wavelet.colour": f"{block}colormix.",
        "stem.wavelet.packets": f"{block}wpt.",
        "stem.wavelet.mixing": f"{block}featmapmix.",
    }


def _has_free_channels(graph: ModuleGraph) -> bool:
    return any(node.id == "stem.free" for node in graph)


def _branches(graph: ModuleGraph, prefix: str, is_alexnet: bool) -> dict[str, str]:
    """Count the layers of the first pooling, of each branch where there are two."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    branches = {"free": "low.", "wavelet": "high."}
    has_modulus = graph.find(Modulus) is not None
    if not _has_free_channels(graph) and not (is_alexnet and has_modulus):
        branches["wavelet"] = ""
    for node in graph:
        parts = node.id.split(".")
        # What splits and joins the branches is no layer of theirs.
        if parts[0] != "pool" or node.operation.moves_values:
            continue
        branch = branches[parts[1]] if len(parts) == 3 else ""
        names[node.id] = f"{prefix}{branch}{counts.get(branch, 0)}."
        counts[branch] = counts.get(branch, 0) + 1
    return names


def _alexnet(graph: ModuleGraph, is_twin: bool) -> dict[str, str]:
    """Count `features` after the first pooling up to the average pooling, then `classifier`."""
    names: dict[str, str] = {}
    section = "features"
    index = 1
    for node in graph:
        if node.section == "pool" and not is_twin:
            names[node.id] = f"features.{index}."
            index += 1
        elif node.section == "trunk":
            if node.id == "trunk.conv2" and is_twin:
                index = 2
            if isinstance(node.operation, AdaptiveAveragePool):
                section = "classifier"
                index = 0
            elif not isinstance(node.operation, Flatten):
                names[node.id] = f"{section}.{index}."
                index += 1
    return names


def _resnet(graph: ModuleGraph) -> dict[str, str]:
    names: dict[str, str] = {}
    ids = {node.id for node in graph}
    for node in graph:
        if node.section != "trunk":
            continue
        block, _, layer = node.id.removeprefix("trunk.").rpartition(".")
        if block.endswith(".downsample"):
            blurs = f"trunk.{block}.blur" in ids
            index = {"blur": 0, "conv": int(blurs), "bn": 1 + int(blurs)}[layer]
            names[node.id] = f"{block}.{index}."
            continue
        # A blur stands in a sequence with the block's last convolution.
        last = "conv3" if f"trunk.{block}.conv3" in ids else "conv2"
        if layer == "blur":
            names[node.id] = f"{block}.{last}.0."
        elif layer == last and f"trunk.{block}.blur" in ids:
            names[node.id] = f"{block}.{last}.1."
        else:
            names[node.id] = f"{block}.{layer}." if block else f"{layer}."
    return names
