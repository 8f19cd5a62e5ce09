"""Answer questions about a network that decide which sentences are true of it.

Each is answered by the graph as written and the plan, never by a name or by a field that nothing
may follow from (a blur's size where nothing blurs).
"""

from __future__ import annotations

from wavetwin.compiler.compiled import Compiled
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import AdaptiveBlur, Blur, Dropout, MaxPool, Modulus, Operation, Packets


def nodes_below(graph: ModuleGraph, *prefixes: str) -> list[Node]:
    """Return the layers of these ids, and those below them."""
    return [
        node
        for node in graph
        if any(node.id == prefix or node.id.startswith(f"{prefix}.") for prefix in prefixes)
    ]


def count_layers(compiled: Compiled, kind: type[Operation], below: tuple[str, ...] = ()) -> int:
    """Return how many layers are of a kind of operation, in all or below these ids."""
    nodes = nodes_below(compiled.graph, *below) if below else compiled.graph.nodes
    return sum(isinstance(node.operation, kind) for node in nodes)


def takes_modulus(compiled: Compiled) -> bool:
    """Return whether a modulus is taken of any channel."""
    return count_layers(compiled, Modulus) > 0


def has_complex_packets(compiled: Compiled) -> bool:
    """Return whether there are packets with a modulus to take."""
    return any(found.node.is_complex for found in compiled.graph.all_of(Packets))


def has_free_channels(compiled: Compiled) -> bool:
    """Return whether any channel of the first layer is trained freely."""
    return bool(compiled.spec.stem.free_channels)


def is_trained(compiled: Compiled, *prefixes: str) -> bool:
    """Return whether training changes any parameter of these layers."""
    return compiled.plan.epochs > 0 and any(
        node.parameters.trainable for node in nodes_below(compiled.graph, *prefixes)
    )


def count_dropouts(compiled: Compiled) -> int:
    """Return how many layers set values to zero in training."""
    return sum(not found.operation.is_identity for found in compiled.graph.all_of(Dropout))


def images_a_step(compiled: Compiled) -> int:
    """Return the images of the largest step: an epoch has no more than there are."""
    plan = compiled.plan
    images = plan.data.training_images
    return plan.batch_size if images is None else min(plan.batch_size, images)


def blur_sizes(compiled: Compiled, *prefixes: str) -> tuple[int, ...]:
    """Return the sizes of the blurs below these ids, each once."""
    nodes = nodes_below(compiled.graph, *prefixes)
    operations = [node.operation for node in nodes]
    return tuple(sorted({each.size for each in operations if isinstance(each, Blur)}))


def blur_parameters(compiled: Compiled, *prefixes: str) -> int:
    """Return the parameters of the adaptive blurs below these ids."""
    nodes = nodes_below(compiled.graph, *prefixes)
    return sum(node.parameters.total for node in nodes if isinstance(node.operation, AdaptiveBlur))


def max_windows(compiled: Compiled) -> tuple[int, ...]:
    """Return the windows of the first pooling's maxima, each once."""
    maxima = compiled.graph.all_of(MaxPool, "pool")
    return tuple(sorted({found.operation.kernel_size for found in maxima}))
