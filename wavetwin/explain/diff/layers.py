"""Compare the layers of two graphs, aligned by meaning: added, removed, changed.

A layer is the same one where it plays the same part: a node's id names its part (`stem.free`,
`trunk.layer2.0.conv1`), so that ids decide wherever the compiler gives them by meaning. Where the
first pooling is split in one graph only, the undivided layer is the free channels' one. In a
`sequential` trunk ids only count layers, so that its layers are aligned by operation and attributes.
The graphs are those as written, before any pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wavetwin.explain.diff.alignment import align
from wavetwin.explain.diff.costs import Cost, cost_of, total_cost
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Attribute, KeepPackets, Packets

Kind = Literal["added", "removed", "changed", "resized", "renamed", "same"]

_BRANCHES = ("pool.free.", "pool.wavelet.")


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer of either graph, or the same one in both."""

    before: Node | None
    after: Node | None
    numbered: tuple[Attribute, Attribute] = (None, None)
    """What its attributes' numbers count, where another layer says so: the same packet numbers are
    other packets under another transform or other levels."""

    @property
    def kind(self) -> Kind:
        """What became of it.

        `changed`: another operation, other attributes or parameters; `resized`: the same on maps of
        another size; `renamed`: the same under another id.
        """
        before, after = self.before, self.after
        if before is None:
            return "added"
        if after is None:
            return "removed"
        if (
            type(before.operation) is not type(after.operation)
            or self.attributes
            or before.parameters != after.parameters
        ):
            return "changed"
        if self.cost or before.output_shape != after.output_shape:
            return "resized"
        return "same" if before.id == after.id else "renamed"

    @property
    def node(self) -> Node:
        """The second graph's layer; the first one's where the second has none."""
        node = self.after or self.before
        assert node is not None
        return node

    @property
    def attributes(self) -> tuple[tuple[str, Any, Any], ...]:
        """Name and both values of each attribute that differs; None where there is none."""
        if self.before is None or self.after is None:
            return ()
        ours, theirs = dict(self.before.attributes), dict(self.after.attributes)
        ours["numbered in"], theirs["numbered in"] = self.numbered
        return tuple(
            (name, ours.get(name), theirs.get(name))
            for name in dict.fromkeys((*ours, *theirs))
            if ours.get(name) != theirs.get(name)
        )

    @property
    def cost(self) -> Cost:
        """What the second graph's layer takes beyond the first one's."""
        return cost_of(self.after) - cost_of(self.before)


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """All layers of two graphs, paired, in the second graph's order."""

    layers: tuple[LayerChange, ...]
    before: Cost
    """Of the whole network, as written; so is `after`. Their difference is the sum of the layers'."""
    after: Cost
    executed_before: Cost
    """After the passes."""
    executed_after: Cost

    @property
    def differing(self) -> tuple[LayerChange, ...]:
        """The layers that are not the same."""
        return tuple(layer for layer in self.layers if layer.kind != "same")

    def count(self, kind: Kind) -> int:
        """Return how many layers are of a kind."""
        return sum(layer.kind == kind for layer in self.layers)


def compare_models(
    before: ModuleGraph,
    after: ModuleGraph,
    executed_before: ModuleGraph,
    executed_after: ModuleGraph,
) -> ModelChanges:
    """Pair the layers of two graphs as written; the executed ones give the cost after the passes."""
    return ModelChanges(
        tuple(
            LayerChange(layer.before, layer.after, (ours, theirs))
            for layer in _in_order(
                before.nodes, after.nodes, _pair_nodes(before.nodes, after.nodes)
            )
            for ours, theirs in (
                (_numbering(before, layer.before), _numbering(after, layer.after)),
            )
        ),
        total_cost(before),
        total_cost(after),
        total_cost(executed_before),
        total_cost(executed_after),
    )


def _numbering(graph: ModuleGraph, node: Node | None) -> Attribute:
    """Return what a layer's numbers count: the packets of a transform's levels; None of others."""
    if node is None or not isinstance(node.operation, KeepPackets):
        return None
    (packets,) = graph.inputs_of(node)
    assert isinstance(packets.operation, Packets), node.id
    return f"{packets.operation.transform} J = {packets.operation.levels}"


def _pair_nodes(before: Sequence[Node], after: Sequence[Node]) -> dict[str, str]:
    """Return the second graph's id of each layer of the first that is in both."""
    pairs: dict[str, str] = {}
    counts_layers = _counts_layers(before) or _counts_layers(after)
    theirs = {node.id: node for node in after}
    for node in before:
        if node.id in theirs and not (counts_layers and node.section == "trunk"):
            pairs[node.id] = node.id
    _pair_branches(before, after, pairs)
    if counts_layers:
        _pair_trunks(before, after, pairs)
    return pairs


def _counts_layers(nodes: Sequence[Node]) -> bool:
    """Return whether the trunk's ids count its layers (`sequential`) instead of naming them."""
    counts: dict[str, int] = {}
    for node in nodes:
        if node.section != "trunk":
            continue
        name = node.id.removeprefix("trunk.")
        word = name.rstrip("0123456789")
        counts[word] = counts.get(word, 0) + 1
        if name != f"{word}{counts[word]}":
            return False
    return True


def _pair_branches(before: Sequence[Node], after: Sequence[Node], pairs: dict[str, str]) -> None:
    """Pair the layers of an undivided first pooling with those of a branch of a divided one."""
    ours = {node.id for node in before if node.section == "pool" and node.id not in pairs}
    taken = set(pairs.values())
    theirs = {node.id for node in after if node.section == "pool" and node.id not in taken}
    for branch in _BRANCHES:
        for node_id in sorted(ours):
            whole = node_id.replace(branch, "pool.", 1)
            divided = node_id.replace("pool.", branch, 1)
            for candidate in (divided, whole):
                if candidate != node_id and candidate in theirs and node_id not in pairs:
                    pairs[node_id] = candidate
                    theirs.discard(candidate)


def _pair_trunks(before: Sequence[Node], after: Sequence[Node], pairs: dict[str, str]) -> None:
    ours = [node for node in before if node.section == "trunk"]
    theirs = [node for node in after if node.section == "trunk"]
    start = 0
    # Equal layers at both ends need no search.
    while start < min(len(ours), len(theirs)) and _is_same(ours[start], theirs[start]):
        pairs[ours[start].id] = theirs[start].id
        start += 1
    ours, theirs = ours[start:], theirs[start:]
    while ours and theirs and _is_same(ours[-1], theirs[-1]):
        pairs[ours.pop().id] = theirs.pop().id
    for i, j in align(ours, theirs, _likeness):
        if i is not None and j is not None:
            pairs[ours[i].id] = theirs[j].id


def _is_same(first: Node, second: Node) -> bool:
    return first.operation == second.operation


def _likeness(first: Node, second: Node) -> float:
    """Of two layers: 0 for other operations, 3 for the same attributes, more under the same id."""
    if type(first.operation) is not type(second.operation):
        return 0.0
    same_id = 0.01 * (first.id == second.id)
    if first.operation == second.operation:
        return 3.0 + same_id
    names = first.attributes.keys() | second.attributes.keys()
    equal = sum(first.attributes.get(name) == second.attributes.get(name) for name in names)
    return 1.0 + equal / len(names) + same_id


def _in_order(
    before: Sequence[Node], after: Sequence[Node], pairs: dict[str, str]
) -> Iterator[LayerChange]:
    """Yield all layers in the second graph's order, removed ones after what stood before them."""
    follows: dict[str | None, list[Node]] = {}
    last: str | None = None
    by_after: dict[str, Node] = {}
    for node in before:
        partner = pairs.get(node.id)
        if partner is None:
            follows.setdefault(last, []).append(node)
        else:
            by_after[partner] = node
            last = partner
    for node in follows.get(None, ()):
        yield LayerChange(node, None)
    for node in after:
        yield LayerChange(by_after.get(node.id), node)
        for removed in follows.get(node.id, ()):
            yield LayerChange(removed, None)
