"""Draw the kept and excluded packets of a model in the frequency plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wavetwin.explain.packet_use import PacketChoice, PacketUse, kind, orientation
from wavetwin.explain.pictures.colours import PAPER, category
from wavetwin.explain.pictures.frequency_plane import Cell, draw_frequency_plane
from wavetwin.explain.pictures.shapes import Drawing


def draw_packets(choice: PacketChoice, name: str) -> Drawing:
    """Return the plane: colour and pattern show the band, numbers the packet and its group.

    Args:
        choice: what is kept.
        name: of the model, for the title.
    """
    title = f"{name}: {choice.num_kept} of {len(choice.uses)} packets kept"
    return draw_frequency_plane(
        choice.levels,
        {use.number: _cell(choice, use) for use in choice.uses},
        title=title,
        transform=choice.transform,
        legend=[*_legend(choice.uses)],
    )


def _cell(choice: PacketChoice, use: PacketUse) -> Cell:
    parts = [f"packet {use.number}"]
    if not use.info.is_lowpass:
        parts.append(f"waves at {orientation(use.info, choice.levels):.0f} degrees")
    if use.band is None:
        rule = kind(choice.transform, use.info, choice.levels)
        parts.append("left out" + (f" ({rule})" if rule else ""))
        return Cell(PAPER, str(use.number), ", ".join(parts))
    parts.append(f"band {use.band}, group {use.group}, wavelet channels {use.channels}")
    look = category(use.band - 1)
    text = f"{use.number}\n{use.band}.{use.group}"
    return Cell(look.fill, text, ", ".join(parts), look.pattern)


def _legend(uses: Sequence[PacketUse]) -> Iterator[tuple[Cell, str]]:
    bands: dict[int, list[PacketUse]] = {}
    for use in uses:
        if use.band is not None:
            bands.setdefault(use.band, []).append(use)
    for band, members in bands.items():
        look = category(band - 1)
        channels = {use.outputs for use in members if use.outputs is not None}
        count = sum(last - first + 1 for first, last in channels)
        yield (
            Cell(look.fill, pattern=look.pattern),
            f"band {band}: {len(members)} packets, {len(channels)} groups, {count} channels",
        )
    left_out = sum(use.band is None for use in uses)
    if left_out:
        yield Cell(PAPER), f"left out: {left_out} packets"
    yield Cell(""), "in a cell: the packet's number; its band and group"
