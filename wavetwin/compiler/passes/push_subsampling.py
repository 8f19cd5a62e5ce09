"""Push the crop and the subsampling after a packet bank into it.

Both commute with everything in it, which is linear and the same at every position: sample m of what
is read afterwards begins at sample `stride * (crop + subsample * m) - padding` of the image. The bank
then computes these samples alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wavetwin.compiler.passes.rewiring import rebuild, redirect
from wavetwin.ir.graph import ModuleGraph, users_of
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Crop, CropToPackets, PacketBank, Subsample


def push_subsampling(graph: ModuleGraph) -> ModuleGraph:
    """Return the graph with every bank computing what is read of it and nothing else."""
    nodes = {node.id: node for node in graph}
    banks = [node.id for node in graph if isinstance(node.operation, PacketBank)]
    changed = False
    for bank in banks:
        for push in (_push_crop, _push_subsample):
            changed |= push(bank, nodes, users_of(nodes.values()))
    return rebuild(graph, nodes) if changed else graph


def _push_crop(bank_id: str, nodes: dict[str, Node], users: Mapping[str, Sequence[Node]]) -> bool:
    """Crop the other branch to the packets' size by the image's; the bank to the other branch's."""
    bank = nodes[bank_id]
    packets = bank.operation
    assert isinstance(packets, PacketBank), bank_id
    readers = users[bank_id]
    crops = [node for node in readers if isinstance(node.operation, Crop)]
    own = [node for node in crops if node.inputs[0] == bank_id]
    other = [node for node in crops if node.inputs[1] == bank_id]
    if len(own) != 1 or len(other) != 1 or len(readers) != 2 or len(bank.inputs) != 1:
        return False
    window, cropped = own[0], other[0]
    if window.inputs[1] not in (cropped.id, cropped.inputs[0]):
        return False
    (image,) = bank.inputs
    grid = CropToPackets(levels=packets.levels, stride=packets.stride, filters=packets.filters)
    nodes[cropped.id] = replace(cropped, operation=grid, inputs=(cropped.inputs[0], image))
    redirect(nodes, {window.id: bank_id})
    del nodes[window.id]
    nodes[bank_id] = replace(bank, inputs=(image, cropped.id))
    return True


def _push_subsample(
    bank_id: str, nodes: dict[str, Node], users: Mapping[str, Sequence[Node]]
) -> bool:
    bank = nodes[bank_id]
    packets = bank.operation
    assert isinstance(packets, PacketBank), bank_id
    readers = users[bank_id]
    if len(readers) != 1 or not isinstance(after := readers[0].operation, Subsample):
        return False
    subsampled = replace(packets, subsample=packets.subsample * after.step)
    nodes[bank_id] = replace(bank, operation=subsampled)
    redirect(nodes, {readers[0].id: bank_id})
    return True
