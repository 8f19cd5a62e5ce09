"""Tensors: the names and shapes of a model's weights, told from its graph, and those of two files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wavetwin.ir.graph import ModuleGraph, Node
from wavetwin.ir.wavelets import filter_length

Shape = tuple[int, ...]
_Tensors = Iterator[tuple[str, Shape]]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a header says of a tensor."""

    shape: Shape
    dtype: str | None = None
    """As safetensors writes it, such as `F32`; None where only a spec says what there is."""


@dataclass(frozen=True, slots=True)
class TensorChanges:
    """How the tensors of two models or files compare, by name."""

    same: tuple[str, ...]
    added: tuple[str, ...]
    """In the second alone."""
    removed: tuple[str, ...]
    changed: tuple[tuple[str, TensorInfo, TensorInfo], ...]
    """Of another shape or type."""

    @property
    def is_empty(self) -> bool:
        """Whether names, shapes and types are the same."""
        return not (self.added or self.removed or self.changed)


def compare_tensors(
    before: Mapping[str, TensorInfo], after: Mapping[str, TensorInfo]
) -> TensorChanges:
    """Compare tensors by name, shape and, where both have one, type."""
    shared = [name for name in before if name in after]
    changed = tuple(
        (name, before[name], after[name]) for name in shared if not _fit(before[name], after[name])
    )
    different = {name for name, _, _ in changed}
    return TensorChanges(
        tuple(name for name in shared if name not in different),
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        changed,
    )


def expected_tensors(graph: ModuleGraph) -> dict[str, TensorInfo]:
    """Return the state dict's names and shapes of a graph as written (docs/graph.md)."""
    nodes = {node.id: node for node in graph}
    return {
        f"{node.id}.{name}": TensorInfo(shape)
        for node in graph
        if node.op in _TENSORS
        for name, shape in _TENSORS[node.op](node, nodes[node.inputs[0]].output_shape)
    }


def _fit(first: TensorInfo, second: TensorInfo) -> bool:
    same_type = None in (first.dtype, second.dtype) or first.dtype == second.dtype
    return same_type and first.shape == second.shape


def _conv(node: Node, source: Shape) -> _Tensors:
    attributes: Mapping[str, Any] = node.attributes
    size: int = attributes["kernel_size"]
    yield "weight", (attributes["channels"], source[0] // attributes["groups"], size, size)
    if attributes["bias"]:
        yield "bias", (attributes["channels"],)


def _linear(node: Node, source: Shape) -> _Tensors:
    attributes: Mapping[str, Any] = node.attributes
    yield "weight", (attributes["features"], source[0])
    if attributes["bias"]:
        yield "bias", (attributes["features"],)


def _colour(node: Node, source: Shape) -> _Tensors:
    yield "weight", (1, source[0], 1, 1)


def _colour_after(node: Node, source: Shape) -> _Tensors:
    yield "weight", (node.output_shape[0], 3, 1, 1)


def _filters(node: Node, source: Shape) -> _Tensors:
    attributes: Mapping[str, Any] = node.attributes
    if attributes["trainable_filters"]:
        trees = 2 if attributes["transform"] == "dtcwpt" else 1
        taps = filter_length(attributes["transform"], attributes["filters"])
        yield "low", (trees, taps)
        yield "high", (trees, taps)


def _mixing(node: Node, source: Shape) -> _Tensors:
    attributes: Mapping[str, Any] = node.attributes
    bands: tuple[tuple[int, int, int], ...] = attributes["bands"]
    for band, (inputs, outputs, groups) in enumerate(bands):
        yield f"{band}.weight", (outputs, inputs // groups, 1, 1)
        if attributes["bias"]:
            yield f"{band}.bias", (outputs,)


def _bias(node: Node, source: Shape) -> _Tensors:
    yield "bias", (source[0],)


def _norm(node: Node, source: Shape) -> _Tensors:
    yield from _norm_of(source[0])


def _norm_of(channels: int, prefix: str = "") -> _Tensors:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{prefix}{name}", (channels,)
    yield f"{prefix}num_batches_tracked", ()


def _adaptive_blur(node: Node, source: Shape) -> _Tensors:
    attributes: Mapping[str, Any] = node.attributes
    size: int = attributes["size"]
    maps = attributes["groups"] * size * size
    yield "conv.weight", (maps, source[0], size, size)
    yield from _norm_of(maps, "norm.")


_TENSORS: dict[str, Callable[[Node, Shape], _Tensors]] = {
    "adaptive_blur": _adaptive_blur,
    "batch_norm": _norm,
    "bias": _bias,
    "colour_mixing": _colour,
    "colour_mixing_after": _colour_after,
    "conv2d": _conv,
    "energy_norm": _norm,
    "linear": _linear,
    "packet_mixing": _mixing,
    "packets": _filters,
}
"""Operations with a state, and its names and shapes from the node and its input's shape."""
