"""Name the trainable parameters of a graph, and choose some by what they are or where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod

from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations.operation import Shape

__all__ = ["CHOICES", "MAX_LENGTH", "Parameter", "find_parameters", "held_fixed", "matches"]

MAX_LENGTH = 1000
"""Of a choice of parameters, in characters."""


@frozen
class Parameter:
    """A trainable parameter of a graph as written."""

    node: Node
    label: str
    """Its name within the node's module: `weight`, `0.bias`."""
    shape: Shape

    @property
    def name(self) -> str:
        """Its name in the model and in the state dict."""
        return f"{self.node.id}.{self.label}"

    @property
    def module(self) -> str:
        """The name of the module that has it, below the node's; empty text: the node's own."""
        return self.label.rpartition(".")[0]

    @property
    def count(self) -> int:
        """Its numbers."""
        return prod(self.shape)


CHOICES: Mapping[str, Callable[[ModuleGraph, Parameter], bool]] = {
    "norms": lambda _, parameter: parameter.module in parameter.node.operation.norm_modules(),
    "biases": lambda _, parameter: parameter.label.rpartition(".")[2] == "bias",
    "classifier": lambda graph, parameter: parameter.node is graph.classifier,
}
"""Choices of parameters beside their own names, ids of nodes and of what holds nodes, as `trunk.layer1`."""


def find_parameters(graph: ModuleGraph) -> Iterator[Parameter]:
    """Yield the parameters that a graph as written trains, in its order."""
    for node in graph:
        if node.parameters.trainable:
            shapes = node.operation.trained_weights(graph.by_id[node.inputs[0]].output_shape)
            for label, shape in shapes.items():
                yield Parameter(node, label, shape)


def matches(graph: ModuleGraph, parameter: Parameter, choices: Iterable[str]) -> bool:
    """Return whether any of the choices takes a parameter."""
    return any(
        CHOICES[choice](graph, parameter)
        if choice in CHOICES
        else f"{parameter.name}.".startswith(f"{choice}.")
        for choice in choices
    )


def held_fixed(graph: ModuleGraph, choices: Iterable[str]) -> tuple[Parameter, ...]:
    """Return the parameters that `training.freeze` holds fixed."""
    names = tuple(choices)
    given = find_parameters(graph) if names else ()
    return tuple(each for each in given if matches(graph, each, names))
