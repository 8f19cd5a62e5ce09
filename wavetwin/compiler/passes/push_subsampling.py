"""Push the crop and the subsampling after a packet bank into it.

Both commute with everything in it, which is linear and the same at every position: sample m of what
is read afterwards begins at sample `stride * (crop + subsample * m) - padding` of the image. The bank
then computes these samples alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from wavetwin.compiler.passes.rewiring import find_users, rebuild, redirect
from wavetwin.ir.graph import ModuleGraph, Node


def push_subsampling(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every bank computing what is read of it and nothing else."""
    nodes = {node.id: node for node in graph}
    banks = [node.id for node in graph if node.op == "packet_bank"]
    changed = False
    for bank in banks:
        for push in (_push_crop, _push_subsample):
            changed |= push(bank, nodes, find_users(nodes.values()))
    return rebuild(graph, nodes) if changed else graph


def _push_crop(bank_id: str, nodes: dict[str, Node], users: Mapping[str, Sequence[Node]]) -> bool:
    """Crop the other branch to the packets' size by the image's; the bank to the other branch's."""
    bank = nodes[bank_id]
    readers = users[bank_id]
    own = [node for node in readers if node.op == "crop" and node.inputs[0] == bank_id]
    other = [node for node in readers if node.op == "crop" and node.inputs[1] == bank_id]
    if len(own) != 1 or len(other) != 1 or len(readers) != 2 or len(bank.inputs) != 1:
        return False
    window, cropped = own[0], other[0]
    if window.inputs[1] not in (cropped.id, cropped.inputs[0]):
        return False
    (image,) = bank.inputs
    grid = {key: bank.attributes[key] for key in ("levels", "stride", "filters")}
    nodes[cropped.id] = replace(
        cropped, op="crop_to_packets", inputs=(cropped.inputs[0], image), attributes=grid
    )
    redirect(nodes, {window.id: bank_id})
    del nodes[window.id]
    nodes[bank_id] = replace(bank, inputs=(image, cropped.id))
    return True


def _push_subsample(
    bank_id: str, nodes: dict[str, Node], users: Mapping[str, Sequence[Node]]
) -> bool:
    bank = nodes[bank_id]
    readers = users[bank_id]
    if len(readers) != 1 or readers[0].op != "subsample":
        return False
    step = cast("int", bank.attributes["subsample"]) * cast("int", readers[0].attributes["step"])
    nodes[bank_id] = replace(bank, attributes={**bank.attributes, "subsample": step})
    redirect(nodes, {readers[0].id: bank_id})
    return True
