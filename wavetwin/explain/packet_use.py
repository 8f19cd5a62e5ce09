"""List the packets that a model keeps, with their band and group of the mixing, and the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Deinterleave, Interleave, KeepPackets, PacketMixing, Packets
from wavetwin.ir.packets import PacketInfo, excluded, num_packets, packet_info


@dataclass(frozen=True, slots=True)
class PacketUse:
    """One packet of a model's transform."""

    info: PacketInfo
    band: int | None = None
    """Its position among the entries of `keep`, from 1; None: the packet is not kept."""
    group: int | None = None
    """Of the band's mixing, from 1."""
    outputs: tuple[int, int] | None = None
    """First and last wavelet channel, from 0, that the group makes."""

    @property
    def channels(self) -> str:
        """Its outputs as text: `0`, `6 to 8`; nothing for a packet that is left out."""
        if self.outputs is None:
            return ""
        first, last = self.outputs
        return f"{first}" if first == last else f"{first} to {last}"

    @property
    def number(self) -> int:
        """The packet's."""
        return self.info.number

    @property
    def is_kept(self) -> bool:
        """Whether the packet is mixed into any channel."""
        return self.band is not None


@dataclass(frozen=True, slots=True)
class PacketChoice:
    """All packets of a model's transform, kept ones first, in their order."""

    transform: str
    levels: int
    filters: str
    uses: tuple[PacketUse, ...]

    @property
    def num_kept(self) -> int:
        """Kept packets."""
        return sum(use.is_kept for use in self.uses)


def packet_choice(graph: ModuleGraph) -> PacketChoice | None:
    """Return what a model does with its packets; None where it has no wavelet channels.

    Args:
        graph: as written: the passes merge what is read here.
    """
    wavelet = graph.find(Packets)
    if wavelet is None:
        return None
    bank, keep, mixing = wavelet.operation, graph.find(KeepPackets), graph.find(PacketMixing)
    assert keep is not None, "packets are selected"
    assert mixing is not None, "packets are mixed"
    transform, levels, packets = bank.transform, bank.levels, keep.operation.packets
    uses: list[PacketUse] = []
    # Both parts as channels of their own, unless a modulus takes them together again.
    is_separate = graph.find(Interleave, "stem") is not None and graph.find(Deinterleave) is None
    each = 2 if is_separate else 1
    channel = 0
    for band, (into, out, groups) in enumerate(mixing.operation.bands, start=1):
        for position in range(into):
            group = position * groups // into
            first = channel + group * (out // groups)
            info = packet_info(transform, levels, packets[len(uses)])
            uses.append(
                PacketUse(info, band, group + 1, (each * first, each * (first + out // groups) - 1))
            )
        channel += out
    uses += [
        PacketUse(packet_info(transform, levels, number))
        for number in range(num_packets(transform, levels))
        if number not in packets
    ]
    return PacketChoice(transform, levels, bank.filters, tuple(uses))


def centre(info: PacketInfo, levels: int) -> tuple[float, float]:
    """Return the middle of a packet's cell, (down, right), in radians a pixel.

    The right one is positive; the packet's waves have this frequency and its opposite.
    """
    side = math.pi / 2**levels
    down = info.vertical_sign * (info.vertical_cell + 0.5) * side
    return down, (info.horizontal_cell + 0.5) * side


def orientation(info: PacketInfo, levels: int) -> float:
    """Return the direction of a packet's waves in degrees, between -90 and 90, of its cell's centre.

    0 for waves along the rows, positive where the phase grows down and to the right, as
    `wavetwin.runtime.bank.filters.packet_orientations` has it, measured.
    """
    return math.degrees(math.atan2(*centre(info, levels)))


def kind(transform: str, info: PacketInfo, levels: int) -> str:
    """Return the rule of `exclude` that would leave the packet out, the first of several."""
    for rule in ("lowpass", "edges", "diagonal"):
        if info.number in excluded(transform, levels, (rule,)):
            return rule
    return ""
