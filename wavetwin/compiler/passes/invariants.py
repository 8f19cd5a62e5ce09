"""Check what holds of every graph, before and after any pass."""

from __future__ import annotations

from collections.abc import Mapping

from wavetwin.ir.graph import SECTIONS, WITHOUT_STEM, ModuleGraph
from wavetwin.ir.node import Node, complete


class InvariantError(AssertionError):
    """A graph breaks a rule: a bug of ours, never the user's fault."""


def check_invariants(
    graph: ModuleGraph, written: ModuleGraph, previous: ModuleGraph | None = None
) -> None:
    """Check a graph by itself and against the graph as written.

    Nodes that the checked graph `previous` has, too, with the same inputs, are not checked again.

    Ids are unique; inputs come before their users; shapes and costs are what the operations say; a section
    reads the output of the section before it and nothing else, which is one value, or between stem
    and pooling two, free and wavelet channels; input, output and the parameters' names and numbers
    are those of the graph as written.

    Raises:
        InvariantError: naming the node.
    """
    checked: Mapping[str, Node] = {} if previous is None else previous.by_id
    seen: dict[str, Node] = {}
    for node in graph:
        if node.id in seen:
            raise InvariantError(f"{node.id}: there are two nodes of this id")
        missing = [source for source in node.inputs if source not in seen]
        if missing:
            raise InvariantError(f"{node.id}: reads {missing[0]} before it is computed")
        inputs = [seen[source] for source in node.inputs]
        is_checked = node is checked.get(node.id) and all(
            source is checked.get(source.id) for source in inputs
        )
        if not is_checked and complete(node, inputs) != node:
            raise InvariantError(f"{node.id}: its shape or cost is not the operation's")
        seen[node.id] = node
    _check_sections(graph)
    if graph.input != written.input or graph.output.output_shape != written.output.output_shape:
        raise InvariantError("the graph's input or output changed")
    before, after = _parameters(written), _parameters(graph)
    if before != after:
        raise InvariantError(f"parameters changed: {sorted(before.keys() ^ after.keys())}")


def _parameters(graph: ModuleGraph) -> dict[str, tuple[int, int]]:
    """Return the numbers of trained and frozen parameters by the id that they are named after."""
    return {
        owner.id: (owner.parameters.trainable, owner.parameters.frozen) for owner in graph.owners
    }


def _check_sections(graph: ModuleGraph) -> None:
    order = [node.section for node in graph]
    if order != sorted(order, key=SECTIONS.index):
        raise InvariantError("sections are not in order")
    if tuple(dict.fromkeys(order)) not in (SECTIONS, WITHOUT_STEM, WITHOUT_STEM):
        raise InvariantError(f"sections are {tuple(dict.fromkeys(order))}")
    sections = tuple(dict.fromkeys(order))
    for node in graph:
        if node.section == "input":
            continue
        before = sections[sections.index(node.section) - 1]
        for source in node.inputs:
            if source.split(".", 1)[0] not in (node.section, before):
                raise InvariantError(f"{node.id}: reads {source} across a section's border")
    for section, outputs in graph.section_outputs.items():
        most = 2 if section == "stem" else 1
        if len(outputs) > most:
            raise InvariantError(f"{outputs[-1].id}: {section} gives {len(outputs)} values")
        if section != "stem" and any(output.is_complex for output in outputs):
            raise InvariantError(f"{outputs[0].id}: {section} gives complex numbers")
