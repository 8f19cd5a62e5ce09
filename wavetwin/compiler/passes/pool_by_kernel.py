"""Merge what the native kernel computes at once, where a spec asks for it (`training.kernels`).

Norm, activation and maximum of the first pooling become one node, which reads what the stem joined in
parts; a modulus becomes a part of the packet bank before it, and the activation one of the norm or the
bias. Torch's operations gain nothing by any of it.
"""

from __future__ import annotations

from dataclasses import replace

from wavetwin.compiler.passes.rewiring import rebuild, redirect
from wavetwin.ir.graph import ModuleGraph, users_of
from wavetwin.ir.node import Node
from wavetwin.ir.operations import (
    AveragePool,
    BatchNorm,
    Bias,
    Concat,
    EnergyNorm,
    MaxPool,
    Modulus,
    NormMaxPool,
    PacketBank,
    Relu,
    ReluMaxPool,
)

MOST_VALUES = 2
"""That a stem gives."""


def pool_by_kernel(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with the first pooling's maxima and moduli merged with what comes before them."""
    nodes = dict(graph.by_id)
    for node in graph:
        if node.section == "pool" and isinstance(node.operation, MaxPool):
            _merge_maximum(node, nodes)
    for node in tuple(nodes.values()):
        if isinstance(node.operation, Modulus):
            _merge_modulus(node, nodes)
        elif node.section == "pool" and isinstance(node.operation, Relu):
            _merge_activation(node, nodes)
    return graph if nodes == graph.by_id else rebuild(graph, nodes)


def _merge_maximum(maximum: Node, nodes: dict[str, Node]) -> None:
    """Put a maximum, the activation and the norm before it in one node, at the id of the one with state."""
    operation = maximum.operation
    relu = _only_input(maximum, nodes)
    if (
        not isinstance(operation, MaxPool)
        or isinstance(operation, AveragePool)
        or relu is None
        or not isinstance(relu.operation, Relu)
    ):
        return
    window = {
        "kernel_size": operation.kernel_size,
        "stride": operation.stride,
        "padding": operation.padding,
    }
    norm = _only_input(relu, nodes)
    first = relu
    merged = replace(maximum, operation=ReluMaxPool(**window))
    if (
        norm is not None
        and isinstance(norm.operation, BatchNorm)
        and not isinstance(norm.operation, EnergyNorm)
    ):
        first, kept = norm, norm.operation
        merged = replace(
            norm,
            operation=NormMaxPool(
                channels=kept.channels, eps=kept.eps, momentum=kept.momentum, frozen=kept.frozen,
                **window,
            ),
        )  # fmt: skip
    joined = _only_input(first, nodes)
    sources = first.inputs
    is_concat = joined is not None and isinstance(joined.operation, Concat)
    if joined is not None and is_concat and len(joined.inputs) <= MOST_VALUES:
        sources = joined.inputs
    chain = [first, *([relu] if first is not relu else []), maximum]
    origin = tuple(dict.fromkeys(each for node in chain for each in node.origin))
    merged = replace(merged, inputs=sources, origin=origin)
    gone = {node.id for node in chain}
    kept_nodes = list(nodes.values())
    nodes.clear()
    for node in kept_nodes:
        # Where the chain ended, so that the order of the others stays.
        if node is maximum:
            nodes[merged.id] = merged
        elif node.id not in gone:
            nodes[node.id] = node
    redirect(nodes, {maximum.id: merged.id})


def _merge_modulus(modulus: Node, nodes: dict[str, Node]) -> None:
    """Let a packet bank give the modulus itself."""
    bank = _only_input(modulus, nodes)
    if bank is None or not isinstance(bank.operation, PacketBank):
        return
    if bank.operation.colour != "after" and bank.operation.complex:
        nodes[bank.id] = replace(bank, operation=replace(bank.operation, modulus=True))
        redirect(nodes, {modulus.id: bank.id})
        del nodes[modulus.id]


def _merge_activation(relu: Node, nodes: dict[str, Node]) -> None:
    """Let the norm or the bias after a modulus give the positive parts itself."""
    before = _only_input(relu, nodes)
    if before is not None and isinstance(before.operation, EnergyNorm | Bias):
        nodes[before.id] = replace(before, operation=replace(before.operation, relu=True))
        redirect(nodes, {relu.id: before.id})
        del nodes[relu.id]


def _only_input(node: Node, nodes: dict[str, Node]) -> Node | None:
    """Return the input of a node that reads one, where nobody else reads it."""
    source = nodes[node.inputs[0]]
    readers = users_of(nodes.values())[source.id]
    return source if len(node.inputs) == 1 and len(readers) == 1 else None
