"""Show the first layers of the runs as HTML: kernels, their spectra, packets."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from wavetwin.explain.html import figure, fill, png, remark
from wavetwin.explain.pictures.centre_plane import centre_plane
from wavetwin.explain.pictures.line_plot import Look, key_of
from wavetwin.explain.report.first_layer import FirstLayer, PacketWeights, read_first_layer
from wavetwin.explain.report.page import Part
from wavetwin.explain.report.runs import Run
from wavetwin.explain.show.kernel_tiles import KernelTile, common_side, draw_tile, kernel_tiles

__all__ = ["DrawPackets", "first_layers_part"]

DrawPackets = Callable[[PacketWeights, str], str]
"""Draws packets in the frequency plane, under a title, as an `<svg>` element."""


def first_layers_part(runs: Sequence[Run], draw_packets: DrawPackets | None) -> Part:
    """Return what the runs' first layers have learned.

    Args:
        runs: those that are shown.
        draw_packets: of the frequency plane; None: packets are not shown.

    Raises:
        RunError: a run's weights or graph are damaged.
    """
    shown: list[tuple[str, Markup]] = []
    layers = [(run, read_first_layer(run)) for run in runs]
    kernels = [layer.kernel for _, layer in layers if isinstance(layer, FirstLayer)]
    # One window for all runs: a weight is as large in each picture.
    side = common_side(kernels) if kernels else 0
    for run, layer in layers:
        if isinstance(layer, str):
            shown.append((run.label, remark(f"No first layer is shown: {layer}.")))
        else:
            shown.append((run.label, _first_layer(run, layer, draw_packets, side)))
    return Part("first-layer", "First layer", fill("report_parts", "first_layers", shown))


def _first_layer(
    run: Run, layer: FirstLayer, draw_packets: DrawPackets | None, side: int
) -> Markup:
    kernel, sections = layer.kernel, kernel_tiles(layer.kernel, side)
    frequencies = (kernel.centre_frequencies() / math.pi).tolist()
    plane = figure(
        Markup(centre_plane(frequencies, kernel.bands, kernel.is_complex, run.label)),
        f"Centre frequencies of the channels of {run.label}; of a real kernel both peaks",
    )
    entries = [(Look(number), name) for number, (name, _) in enumerate(sections)]
    key = Markup(key_of(entries, has_lines=False))
    packets = None
    if layer.packets is not None and draw_packets is not None:
        title = f"Packets of {run.label}"
        caption = (
            "Packets in the frequency plane, by number. The lighter, the more the mixing takes of "
            "one: the sum of the moduli of its weights in all output maps. White: not used"
        )
        packets = figure(Markup(draw_packets(layer.packets, title)), caption)
    kernels = [(name, [_tile(tile) for tile in tiles]) for name, tiles in sections]
    return fill("report_parts", "first_layer", kernels, plane, key, packets)


def _tile(tile: KernelTile) -> Markup:
    """Return one channel's kernels and spectrum as a figure with the picture inside."""
    picture = draw_tile(tile)
    content = io.BytesIO()
    picture.convert("L" if _is_grey(tile) else "RGB").save(content, format="PNG", optimize=True)
    number, frequency = tile.label
    caption = f"Channel {number}: kernel and spectrum, largest at {frequency} radians a pixel"
    image = png(base64.b64encode(content.getvalue()).decode(), caption, picture.size)
    return figure(image, f"{number}: {frequency}")


def _is_grey(tile: KernelTile) -> bool:
    return not any(tile.strips)
