"""The first layers of the runs as HTML: kernels, where they look in frequency, packets."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Sequence

from wavetwin.explain.html import figure
from wavetwin.explain.pictures.line_plot import Look, key_of
from wavetwin.explain.pictures.svg import escaped
from wavetwin.explain.report.first_layer import FirstLayer, PacketWeights, read_first_layer
from wavetwin.explain.report.page import Part
from wavetwin.explain.report.runs import Run
from wavetwin.explain.show.kernel_tiles import KernelTile, draw_tile, kernel_tiles
from wavetwin.runtime.network.kernels import ResultingKernel

__all__ = ["DrawPackets", "first_layers_part"]

DrawPackets = Callable[[PacketWeights, str], str]
"""Draws packets in the frequency plane, under a title, as an `<svg>` element."""

_SIDE, _LEFT, _TOP = 300.0, 48.0, 8.0
_TICKS = ((-1.0, "-π"), (-0.5, "-π/2"), (0.0, "0"), (0.5, "π/2"), (1.0, "π"))


def first_layers_part(runs: Sequence[Run], draw_packets: DrawPackets | None) -> Part:
    """Return what the runs' first layers have learned.

    Args:
        runs: those that are shown.
        draw_packets: of the frequency plane; None: packets are not shown.

    Raises:
        RunError: a run's weights or graph are damaged.
    """
    body = [
        '<p class="quiet">Of each channel: the weights (mid-grey is 0, scaled to the largest; of '
        "complex channels the real, then the imaginary part; under a kernel of three colours, red, "
        "green and blue in grey), then the modulus of its Fourier transform (frequency 0 in the "
        "middle, edges at pi radians a pixel, black the largest value). Below, where that is "
        "largest: down, right, in radians a pixel. Bands are the items of <code>keep</code>, the first "
        "is 1.</p>"
    ]
    for run in runs:
        body.append(f"<h3>{html.escape(run.label)}</h3>")
        found = read_first_layer(run)
        if isinstance(found, str):
            body.append(f'<p class="note">No first layer is shown: {html.escape(found)}.</p>')
        else:
            body.append(_first_layer(run, found, draw_packets))
    return Part("first-layer", "First layer", "\n".join(body))


def _first_layer(run: Run, layer: FirstLayer, draw_packets: DrawPackets | None) -> str:
    sections = kernel_tiles(layer.kernel)
    pictures = [
        figure(
            _plane(layer.kernel, run.label),
            f"Centre frequencies of the channels of {run.label}; of a real kernel both peaks",
        )
        + key_of(
            [(Look(number), name) for number, (name, _) in enumerate(sections)], has_lines=False
        )
    ]
    if layer.packets is not None and draw_packets is not None:
        title = f"Packets of {run.label}"
        caption = (
            "Packets in the frequency plane, by number. The lighter, the more the mixing takes of "
            "one: the sum of the moduli of its weights in all output maps. White: not used"
        )
        pictures.append(figure(draw_packets(layer.packets, title), caption))
    kernels = "\n".join(
        f'<h4>{html.escape(name)}</h4>\n<div class="tiles">{"".join(map(_tile, tiles))}</div>'
        for name, tiles in sections
    )
    return f'{kernels}\n<div class="pictures">{"".join(f"<div>{p}</div>" for p in pictures)}</div>'


def _tile(tile: KernelTile) -> str:
    """Return one channel's kernels and spectrum as a figure with the picture inside."""
    picture = draw_tile(tile)
    content = io.BytesIO()
    picture.convert("L" if _is_grey(tile) else "RGB").save(content, format="PNG", optimize=True)
    number, frequency = tile.label
    caption = f"Channel {number}: kernel and spectrum, largest at {frequency} radians a pixel"
    return figure(
        f'<img src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}" '
        f'width="{picture.width}" height="{picture.height}" alt="{html.escape(caption)}">',
        f"{number}: {frequency}",
    )


def _is_grey(tile: KernelTile) -> bool:
    return not any(tile.strips)


def _plane(kernel: ResultingKernel, label: str) -> str:
    """Return the centre frequencies of the channels in the plane from -pi to pi, as SVG."""
    numbers: dict[int | None, int] = {}
    marks: list[str] = []
    frequencies = (kernel.centre_frequencies() / math.pi).tolist()
    for position, band, is_complex in zip(
        frequencies, kernel.bands, kernel.is_complex, strict=True
    ):
        look = Look(numbers.setdefault(band, len(numbers)))
        down, right = position
        signs = (1,) if is_complex else (1, -1)
        marks += [look.marker(_x(sign * right), _y(sign * down)) for sign in signs]
    title = escaped(f"Centre frequencies of {label}")
    width, height = _LEFT + _SIDE + 12, _TOP + _SIDE + 40
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{title}" font-size="12"><title>{title}</title><desc>{len(frequencies)} '
        "channels; their values stand under the kernels.</desc>"
        f"{''.join(_grid())}{''.join(marks)}</svg>"
    )


def _x(share: float) -> float:
    return _LEFT + (1 + share) / 2 * _SIDE


def _y(share: float) -> float:
    """Vertical frequencies grow downwards, as rows of an image do."""
    return _TOP + (1 + share) / 2 * _SIDE


def _grid() -> list[str]:
    parts: list[str] = []
    for share, name in _TICKS:
        colour = "#1b1d20" if share == 0 else "#d5d8dc"
        parts.append(
            f'<path d="M{_x(share):g} {_TOP:g}v{_SIDE:g}M{_LEFT:g} {_y(share):g}h{_SIDE:g}" '
            f'stroke="{colour}" stroke-width=".8" fill="none"/>'
            f'<text x="{_x(share):g}" y="{_TOP + _SIDE + 16:g}" text-anchor="middle" '
            f'fill="#1b1d20">{name}</text>'
            f'<text x="{_LEFT - 6:g}" y="{_y(share) + 4:g}" text-anchor="end" '
            f'fill="#1b1d20">{name}</text>'
        )
    middle = _TOP + _SIDE / 2
    parts.append(
        f'<text x="{_LEFT + _SIDE / 2:g}" y="{_TOP + _SIDE + 34:g}" text-anchor="middle" '
        'fill="#1b1d20">horizontal frequency, radians a pixel</text>'
        f'<text transform="translate(11 {middle:g}) rotate(-90)" text-anchor="middle" '
        'fill="#1b1d20">vertical frequency, radians a pixel, downwards</text>'
    )
    return parts
