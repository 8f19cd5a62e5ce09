"""Find the sizes of images that a graph has an output for, by what its operations say of shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Linear, Shape, UnfitError

__all__ = ["ImageSizes", "find_image_sizes"]

ANY_SIZE = 1 << 14
"""Pixels along one side; a network that takes as many takes any number."""


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """Pixels along one side, the same bounds for height and width."""

    smallest: int
    largest: int | None
    """None: there is no bound; else a linear layer counts the positions of the maps before it."""


def find_image_sizes(graph: ModuleGraph) -> ImageSizes:
    """Return the sizes at which every map has a position and every linear layer its inputs.

    Maps grow with the image, so that the sizes are a range, and the graph's own is in it.
    """
    _, height, width = graph.input.output_shape
    planned = min(height, width)
    vectors = _vectors(graph, planned)

    def fits(size: int) -> bool:
        return _vectors(graph, size) == vectors

    smallest = _last_that_fits(fits, planned, 0)
    largest = None if fits(ANY_SIZE) else _last_that_fits(fits, planned, ANY_SIZE)
    return ImageSizes(smallest, largest)


def _last_that_fits(fits: Callable[[int], bool], inside: int, outside: int) -> int:
    """Return the last size that fits on the way from one that does to one that does not."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if fits(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _vectors(graph: ModuleGraph, size: int) -> list[Shape] | None:
    """Return what the linear layers take of a square image; None where some map is empty."""
    shapes: dict[str, Shape] = {graph.input.id: (graph.input.output_shape[0], size, size)}
    vectors: list[Shape] = []
    for node in graph.nodes[1:]:
        inputs = [shapes[source] for source in node.inputs]
        if isinstance(node.operation, Linear):
            vectors += inputs
        try:
            shape = node.operation.output(*inputs)
        except UnfitError:
            return None
        if min(shape) < 1:
            return None
        shapes[node.id] = shape
    return vectors
