"""Find the sizes of images that a graph has an output for, by what its operations say of shapes."""

from __future__ import annotations

from collections.abc import Callable

from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Linear, Shape, UnfitError
from wavetwin.ir.sides import ImageSize, image_size

__all__ = ["ImageSizes", "find_image_sizes"]

ANY_SIZE = 1 << 14
"""Pixels along one side; a network that takes as many takes any number."""


@frozen
class ImageSizes:
    """Bounds of height and width: one number where both sides have the same."""

    smallest: ImageSize
    largest: ImageSize | None
    """None: there is no bound; else a linear layer counts the positions of the maps before it."""


def find_image_sizes(graph: ModuleGraph) -> ImageSizes:
    """Return the sizes at which every map has a position and every linear layer its inputs.

    Maps grow with the image, along each side by itself, so that the sizes are a range of heights and
    one of widths, and the graph's own are in them.
    """
    _, height, width = graph.input.output_shape
    rows = _range(graph, height, lambda side: (side, width))
    columns = rows if height == width else _range(graph, width, lambda side: (height, side))
    largest = None
    if rows[1] is not None and columns[1] is not None:
        largest = image_size(rows[1], columns[1])
    return ImageSizes(image_size(rows[0], columns[0]), largest)


def _range(
    graph: ModuleGraph, planned: int, sides: Callable[[int], tuple[int, int]]
) -> tuple[int, int | None]:
    """Return the bounds of one side; None: there is no upper one."""
    vectors = _vectors(graph, *sides(planned))

    def fits(side: int) -> bool:
        return _vectors(graph, *sides(side)) == vectors

    smallest = _last_that_fits(fits, planned, 0)
    return smallest, None if fits(ANY_SIZE) else _last_that_fits(fits, planned, ANY_SIZE)


def _last_that_fits(fits: Callable[[int], bool], inside: int, outside: int) -> int:
    """Return the last size that fits on the way from one that does to one that does not."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if fits(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _vectors(graph: ModuleGraph, height: int, width: int) -> list[Shape] | None:
    """Return what the linear layers take of such an image; None where some map is empty."""
    shapes: dict[str, Shape] = {graph.input.id: (graph.input.output_shape[0], height, width)}
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
