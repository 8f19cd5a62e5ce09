"""Merge colour mixing, packets, selection and packet mixing into one packet bank.

As one operation it computes no packet that is dropped, no imaginary part that nobody reads, and no
map of single packets at all: they are made block by block and mixed at once. Filters that are
trained or real stay as they are; the bank is made for fixed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wavetwin.compiler.passes.rewiring import rebuild, redirect
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node, make_node
from wavetwin.ir.operations import (
    ColourMixing,
    ColourMixingAfter,
    KeepPackets,
    Operation,
    PacketBank,
    PacketMixing,
    Packets,
    RealPart,
)


def merge_packet_bank(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every chain of fixed dual-tree packets merged that gets cheaper so."""
    nodes = dict(graph.by_id)
    changed = False
    for packets in graph:
        chain = _chain(packets, nodes, graph.users)
        if chain is None:
            continue
        bank = _bank(chain, nodes)
        if bank.macs > sum(node.macs for node in chain.nodes):
            continue
        _replace_chain(nodes, chain.nodes, bank)
        changed = True
    return rebuild(graph, nodes) if changed else graph


@frozen
class _Chain:
    """The nodes to merge, in order, and what they do."""

    nodes: tuple[Node, ...]
    packets: Packets
    keep: KeepPackets
    mixing: PacketMixing
    colour: ColourMixing | None
    colour_after: ColourMixingAfter | None
    is_real: bool

    @property
    def prefix(self) -> str:
        """The id of the container that the nodes make up."""
        return self.nodes[0].id.rpartition(".")[0]


def _chain(
    start: Node, nodes: Mapping[str, Node], users: Mapping[str, Sequence[Node]]
) -> _Chain | None:
    """Return what to merge; None where the bank cannot do what it does."""
    packets = start.operation
    if not isinstance(packets, Packets) or not packets.is_dual_tree or packets.trainable_filters:
        return None
    merged = [start]
    source = nodes[start.inputs[0]]
    colour = source.operation
    if not isinstance(colour, ColourMixing) or len(users[source.id]) != 1:
        colour = None
    else:
        merged.insert(0, source)

    def follows(kind: type[Operation]) -> Operation | None:
        """Return the next operation, if it is of this kind and nobody else reads what it reads."""
        readers = users[merged[-1].id]
        # Other readers may ask the last node's size.
        if len(readers) != 1 or readers[0].inputs[0] != merged[-1].id:
            return None
        if not isinstance(readers[0].operation, kind):
            return None
        merged.append(readers[0])
        return readers[0].operation

    is_real = follows(RealPart) is not None
    keep, mixing, after = follows(KeepPackets), follows(PacketMixing), follows(ColourMixingAfter)
    if not isinstance(keep, KeepPackets) or not isinstance(mixing, PacketMixing):
        return None
    after = after if isinstance(after, ColourMixingAfter) else None
    chain = _Chain(tuple(merged), packets, keep, mixing, colour, after, is_real)
    others = {node_id for node_id in nodes if node_id.startswith(f"{chain.prefix}.")}
    return chain if others == {node.id for node in merged} else None


def _bank(chain: _Chain, nodes: Mapping[str, Node]) -> Node:
    bank = PacketBank(
        levels=chain.packets.levels,
        stride=chain.packets.stride,
        filters=chain.packets.filters,
        packets=chain.keep.packets,
        bands=chain.mixing.bands,
        bias=chain.mixing.bias,
        colours=chain.keep.colours,
        colour="after" if chain.colour_after else "before" if chain.colour else "none",
        complex=not chain.is_real,
        subsample=1,
    )
    return make_node(
        chain.prefix,
        bank,
        [nodes[chain.nodes[0].inputs[0]]],
        tuple(dict.fromkeys(location for node in chain.nodes for location in node.origin)),
        tuple(node for node in chain.nodes if node.parameters.total),
    )


def _replace_chain(nodes: dict[str, Node], chain: Sequence[Node], bank: Node) -> None:
    """Put the bank where the chain ended, so that the order of the others stays."""
    last = chain[-1].id
    merged = {node.id for node in chain}
    kept = list(nodes.values())
    nodes.clear()
    for node in kept:
        if node.id == last:
            nodes[bank.id] = bank
        elif node.id not in merged:
            nodes[node.id] = node
    redirect(nodes, {last: bank.id})
