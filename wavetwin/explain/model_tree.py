"""Group a graph's nodes by the sections of their ids, and show blocks that are alike once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import ParameterCounts


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a model: a section, a stage, a residual block."""

    id: str
    """The dotted path that its nodes' ids begin with."""
    members: tuple[Branch | Node, ...]
    """In topological order."""

    @property
    def name(self) -> str:
        """The last part of its id."""
        return self.id.rsplit(".", 1)[-1]

    @property
    def nodes(self) -> Iterator[Node]:
        """All nodes below it."""
        for member in self.members:
            if isinstance(member, Branch):
                yield from member.nodes
            else:
                yield member

    @property
    def parameters(self) -> ParameterCounts:
        """Sums over its nodes."""
        return sum((node.parameters for node in self.nodes), ParameterCounts())

    @property
    def macs(self) -> int:
        """Sum over its nodes, per image."""
        return sum(node.macs for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Alike:
    """Branches after each other that differ in nothing but their ids and what they read."""

    first: Branch
    names: tuple[str, ...]
    """Of all of them."""


def model_tree(graph: ModuleGraph | Iterable[Node]) -> Branch:
    """Return a graph's nodes as a tree whose root has the id ''."""
    return Branch("", tuple(_members(tuple(graph), 0)))


def _members(nodes: Sequence[Node], depth: int) -> Iterator[Branch | Node]:
    for part, group in groupby(nodes, key=lambda node: node.id.split(".")[depth]):
        members = tuple(group)
        if len(members) == 1 and members[0].id.split(".")[depth:] == [part]:
            yield members[0]
        else:
            prefix = members[0].id.split(".")[: depth + 1]
            yield Branch(".".join(prefix), tuple(_members(members, depth + 1)))


def folded(members: Sequence[Branch | Node]) -> Iterator[Branch | Node | Alike]:
    """Yield members in order, two or more branches after each other that are alike as one."""
    for _, group in groupby(members, key=_likeness):
        alike = list(group)
        first = alike[0]
        if len(alike) > 1 and isinstance(first, Branch):
            yield Alike(first, tuple(each.name for each in alike if isinstance(each, Branch)))
        else:
            yield from alike


def _likeness(member: Branch | Node) -> object:
    """Return what is equal for branches that are alike; a node is like itself alone."""
    if isinstance(member, Node):
        return member.id
    return [replace(node, id=node.id.removeprefix(member.id), inputs=()) for node in member.nodes]
