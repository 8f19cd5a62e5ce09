"""Merge what the native kernel computes at once, where a spec asks for it (`training.kernels`).

Norm, activation and maximum, if there is one, of the first pooling become one node, which reads what the stem joined in
parts; so do norm, activation, maximum and blur wherever there is a blur. A modulus becomes a part of the packet bank
before it, and the activation one of the norm or the bias. Torch's operations gain nothing by any of it.
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
    BlurPool,
    Concat,
    EnergyNorm,
    MaxBlurPool,
    MaxPool,
    Modulus,
    NormMaxPool,
    PacketBank,
    Relu,
    ReluMaxPool,
)

MOST_VALUES = 2
"""That a stem gives."""
EACH_SAMPLE = (1, 1, 0)
"""The window of an activation without a maximum."""
NO_BLUR: tuple[int | None, int] = (None, 1)


def pool_by_kernel(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with the first pooling's maxima and moduli merged with what comes before them."""
    nodes = dict(graph.by_id)
    for node in graph:
        if node.section == "pool" and isinstance(node.operation, MaxPool):
            _merge_maximum(node, nodes)
        elif isinstance(node.operation, BlurPool | MaxBlurPool):
            _merge_blur(node, node.operation, nodes)
    for node in tuple(nodes.values()):
        if isinstance(node.operation, Modulus):
            _merge_modulus(node, nodes)
        elif node.section == "pool" and isinstance(node.operation, Relu):
            _merge_activation(node, nodes)
    return graph if nodes == graph.by_id else rebuild(graph, nodes)


def _merge_maximum(maximum: Node, nodes: dict[str, Node]) -> None:
    """Put a maximum, the activation and the norm before it in one node."""
    operation = maximum.operation
    relu = _only_input(maximum, nodes)
    if not isinstance(operation, MaxPool) or isinstance(operation, AveragePool):
        return
    if relu is not None and isinstance(relu.operation, Relu):
        window = (operation.kernel_size, operation.stride, operation.padding)
        _merge([relu, maximum], window, nodes)


def _merge_blur(node: Node, blur: BlurPool | MaxBlurPool, nodes: dict[str, Node]) -> None:
    """Put a blur in one node with the maximum, the activation and the norm before it."""
    relu = _only_input(node, nodes)
    if relu is None or not isinstance(relu.operation, Relu):
        return
    is_of_maxima = isinstance(blur, MaxBlurPool)
    window = (blur.kernel_size, 1, blur.padding) if is_of_maxima else EACH_SAMPLE
    _merge([relu, node], window, nodes, (blur.size, blur.stride))


def _merge_activation(relu: Node, nodes: dict[str, Node]) -> None:
    """Put an activation and what it reads in one node: the norm or the bias of a modulus, or what was joined."""
    before = _only_input(relu, nodes)
    if before is None:
        return
    if isinstance(before.operation, EnergyNorm | Bias):
        nodes[before.id] = replace(before, operation=replace(before.operation, relu=True))
        redirect(nodes, {relu.id: before.id})
        del nodes[relu.id]
    elif isinstance(before.operation, BatchNorm) or _is_joined(before):
        _merge([relu], EACH_SAMPLE, nodes)


def _merge(
    chain: list[Node],
    window: tuple[int, int, int],
    nodes: dict[str, Node],
    blur: tuple[int | None, int] = NO_BLUR,
) -> None:
    """Put an activation and what follows it in one node, with the norm before it, at the id of what has state.

    Args:
        chain: the activation, and the maximum or the blur where there is one.
        window: side, step and margin of the maximum.
        nodes: of the graph; changed.
        blur: taps and step.
    """
    last = chain[-1]
    size, step, margin = window
    pooling = ReluMaxPool(
        kernel_size=size, stride=step, padding=margin, blur_size=blur[0], blur_stride=blur[1]
    )
    norm = _only_input(chain[0], nodes)
    merged = replace(last, operation=pooling)
    if (
        norm is not None
        and isinstance(norm.operation, BatchNorm)
        and not isinstance(norm.operation, EnergyNorm)
    ):
        chain, kept = [norm, *chain], norm.operation
        operation = NormMaxPool(
            channels=kept.channels, eps=kept.eps, momentum=kept.momentum, frozen=kept.frozen,
            kernel_size=size, stride=step, padding=margin, blur_size=blur[0], blur_stride=blur[1],
        )  # fmt: skip
        merged = replace(norm, operation=operation)
    joined = _only_input(chain[0], nodes)
    sources = joined.inputs if joined is not None and _is_joined(joined) else chain[0].inputs
    origin = tuple(dict.fromkeys(each for node in chain for each in node.origin))
    merged = replace(merged, inputs=sources, origin=origin)
    gone = {node.id for node in chain}
    kept_nodes = list(nodes.values())
    nodes.clear()
    for node in kept_nodes:
        # Where the chain ended, so that the order of the others stays.
        if node is last:
            nodes[merged.id] = merged
        elif node.id not in gone:
            nodes[node.id] = node
    redirect(nodes, {last.id: merged.id})


def _is_joined(node: Node) -> bool:
    """Return whether a node joins maps that a stem may give apart."""
    return isinstance(node.operation, Concat) and len(node.inputs) <= MOST_VALUES


def _merge_modulus(modulus: Node, nodes: dict[str, Node]) -> None:
    """Let a packet bank give the modulus itself."""
    bank = _only_input(modulus, nodes)
    if bank is None or not isinstance(bank.operation, PacketBank):
        return
    if bank.operation.colour != "after" and bank.operation.complex:
        nodes[bank.id] = replace(bank, operation=replace(bank.operation, modulus=True))
        redirect(nodes, {modulus.id: bank.id})
        del nodes[modulus.id]


def _only_input(node: Node, nodes: dict[str, Node]) -> Node | None:
    """Return the input of a node that reads one, where nobody else reads it."""
    source = nodes[node.inputs[0]]
    readers = users_of(nodes.values())[source.id]
    return source if len(node.inputs) == 1 and len(readers) == 1 else None
