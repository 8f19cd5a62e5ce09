"""Read a run's trained first layer: the kernel that it amounts to, and each packet's weight in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wavetwin.explain.report.runs import Run, graph_of
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import KeepPackets, PacketMixing, Packets
from wavetwin.runtime.network.build import GraphError
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import WEIGHTS, find_last

__all__ = ["FirstLayer", "PacketWeights", "read_first_layer"]


@dataclass(frozen=True)
class PacketWeights:
    """How much the mixing takes of each packet."""

    transform: str
    """`dtcwpt` or `wpt`."""
    levels: int
    weights: Mapping[int, float]
    """By packet, those that are kept: the sum of the moduli of its weights in all output maps."""
    bands: Mapping[int, int]
    """By packet: its band of the mixing, counted from 1."""


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """What is shown of a run's last weights."""

    kernel: ResultingKernel
    packets: PacketWeights | None
    """None where the first layer has no packets."""


def read_first_layer(run: Run) -> FirstLayer | str:
    """Return a run's first layer, or the reason why there is nothing to show.

    Of the weights file only the first layer is read.

    Raises:
        RunError: the weights or the graph are damaged, or not of one model.
    """
    if run.plan is None:
        return "the scores are of weights that are not in a run"
    graph = graph_of(run)
    if graph is None:
        return "the run has no graph.json"
    if not graph.has_stem:
        return "the layers begin with the image"
    folder = find_last(run.folder / "checkpoints")
    if folder is None:
        return "the run has no weights yet, or they were removed"
    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="pt") as weights:
            names = [name for name in weights.keys() if name.startswith("stem.")]  # noqa: SIM118
            state = {name: weights.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise RunError(
            "weights-damaged", f"cannot be read: {error}", "copy the run again", subject=file
        ) from error
    try:
        with torch.no_grad():
            kernel = resulting_kernel(state, graph)
            return FirstLayer(kernel, _packet_weights(state, graph))
    except GraphError as error:
        return str(error)


def _packet_weights(state: Mapping[str, Tensor], graph: ModuleGraph) -> PacketWeights | None:
    packets, mixing = graph.find(Packets, "stem"), graph.find(PacketMixing, "stem")
    if packets is None or mixing is None:
        return None
    keep = graph.find(KeepPackets, "stem")
    every = tuple(range(packets.operation.num_packets))
    kept = every if keep is None else keep.operation.packets
    weights, bands = dict.fromkeys(kept, 0.0), dict[int, int]()
    start = 0
    for band, (inputs, outputs, groups) in enumerate(mixing.operation.bands):
        own = state[f"{mixing.node.id}.{band}.weight"].double()
        each = own.reshape(groups, outputs // groups, inputs // groups).abs().sum(1).flatten()
        for packet, weight in zip(kept[start : start + inputs], each.tolist(), strict=True):
            weights[packet] += weight
            bands[packet] = band + 1
        start += inputs
    return PacketWeights(packets.operation.transform, packets.operation.levels, weights, bands)
