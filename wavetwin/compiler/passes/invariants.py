"""What holds of every graph, before and after any pass."""

from __future__ import annotations

from wavetwin.compiler.catalogue import CATALOGUE, complete
from wavetwin.compiler.graph import ModuleGraph, Node


class InvariantError(AssertionError):
    """A graph breaks a rule: a bug of ours, never the user's fault."""


SECTIONS = ("input", "stem", "pool", "trunk")


def check_invariants(graph: ModuleGraph, written: ModuleGraph) -> None:
    """Check a graph by itself and against the graph as written.

    Ids are unique; inputs come before their users; every fact is what the catalogue says; a section
    reads the output of the section before it and nothing else; input, output and the parameters'
    names and numbers are those of the graph as written.

    Raises:
        InvariantError: naming the node.
    """
    seen: dict[str, Node] = {}
    for node in graph:
        if node.id in seen:
            raise InvariantError(f"{node.id}: there are two nodes of this id")
        if node.op not in CATALOGUE:
            raise InvariantError(f"{node.id}: the catalogue has no {node.op}")
        missing = [source for source in node.inputs if source not in seen]
        if missing:
            raise InvariantError(f"{node.id}: reads {missing[0]} before it is computed")
        if complete(node, [seen[source] for source in node.inputs]) != node:
            raise InvariantError(f"{node.id}: its facts are not the catalogue's")
        seen[node.id] = node
    _check_sections(graph)
    if graph.input != written.input or graph.output.output_shape != written.output.output_shape:
        raise InvariantError("the graph's input or output changed")
    before = {node.id: node.parameters for node in written if node.parameters.total}
    after = {node.id: node.parameters for node in graph if node.parameters.total}
    if {key: value.total for key, value in before.items()} != {
        key: value.total for key, value in after.items()
    }:
        raise InvariantError(f"parameters changed: {sorted(before.keys() ^ after.keys())}")


def section_outputs(graph: ModuleGraph) -> dict[str, str]:
    """Return the id of the last node of each section."""
    return {node.section: node.id for node in graph}


def _check_sections(graph: ModuleGraph) -> None:
    order = [node.section for node in graph]
    if order != sorted(order, key=SECTIONS.index):
        raise InvariantError("sections are not in order")
    outputs = section_outputs(graph)
    if tuple(outputs) != SECTIONS:
        raise InvariantError(f"sections are {tuple(outputs)}")
    for node in graph:
        if node.section == "input":
            continue
        allowed = outputs[SECTIONS[SECTIONS.index(node.section) - 1]]
        for source in node.inputs:
            if source.split(".", 1)[0] != node.section and source != allowed:
                raise InvariantError(f"{node.id}: reads {source} across a section's border")
