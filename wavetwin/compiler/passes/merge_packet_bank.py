"""Merge colour mixing, packets, selection and packet mixing into one packet bank.

As one operation it computes no packet that is dropped, no imaginary part that nobody reads, and no
map of single packets at all: they are made block by block and mixed at once. Filters that are
trained or real stay as they are; the bank is made for fixed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wavetwin.compiler.passes.rewiring import find_users, rebuild, redirect
from wavetwin.ir.catalogue import make_node
from wavetwin.ir.graph import Attribute, ModuleGraph, Node


def merge_packet_bank(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every chain of fixed dual-tree packets merged that gets cheaper so."""
    nodes = {node.id: node for node in graph}
    users = find_users(graph)
    changed = False
    for packets in [node for node in graph if node.op == "packets"]:
        chain = _chain(packets, nodes, users)
        if chain is None:
            continue
        bank = _bank(chain, nodes)
        if bank.macs > sum(node.macs for node in chain):
            continue
        _replace_chain(nodes, chain, bank)
        changed = True
    return rebuild(graph, nodes) if changed else graph


def _chain(
    packets: Node, nodes: Mapping[str, Node], users: Mapping[str, Sequence[Node]]
) -> list[Node] | None:
    """Return the nodes to merge, in order; None where the bank cannot do what they do."""
    attributes = packets.attributes
    if attributes["transform"] != "dtcwpt" or attributes["trainable_filters"]:
        return None
    chain = [packets]
    source = nodes[packets.inputs[0]]
    if source.op == "colour_mixing" and len(users[source.id]) == 1:
        chain.insert(0, source)
    wanted = [("real_part", False), ("keep_packets", True), ("packet_mixing", True)]
    for op, needed in (*wanted, ("colour_mixing_after", False)):
        readers = [reader for reader in users[chain[-1].id] if reader.inputs[0] == chain[-1].id]
        # Other readers may ask the last node's size.
        fits = len(readers) == 1 and readers[0].op == op
        if fits and len(users[chain[-1].id]) == 1:
            chain.append(readers[0])
        elif needed:
            return None
    prefix = _prefix(chain)
    others = {node.id for node in nodes.values() if node.id.startswith(f"{prefix}.")}
    return chain if others == {node.id for node in chain} else None


def _prefix(chain: Sequence[Node]) -> str:
    """Return the id of the container that the nodes make up."""
    return chain[0].id.rpartition(".")[0]


def _bank(chain: Sequence[Node], nodes: Mapping[str, Node]) -> Node:
    by_op = {node.op: node for node in chain}
    packets, keep = by_op["packets"].attributes, by_op["keep_packets"].attributes
    mixing = by_op["packet_mixing"].attributes
    colour = "before" if "colour_mixing" in by_op else "none"
    if "colour_mixing_after" in by_op:
        colour = "after"
    attributes: dict[str, Attribute] = {
        "levels": packets["levels"],
        "stride": packets["stride"],
        "filters": packets["filters"],
        "packets": keep["packets"],
        "bands": mixing["bands"],
        "bias": mixing["bias"],
        "colours": keep["colours"],
        "colour": colour,
        "complex": "real_part" not in by_op,
        "subsample": 1,
    }
    return make_node(
        _prefix(chain),
        "packet_bank",
        [nodes[chain[0].inputs[0]]],
        attributes,
        tuple(dict.fromkeys(place for node in chain for place in node.origin)),
        tuple(node for node in chain if node.parameters.total),
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
