"""Draw heat maps: a number of every filter at the filter's position in the frequency plane.

The colours go by the square root of the number, so that the many small ones differ, too; every cell
has its number written in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wavetwin.explain.pictures.colour_bar import ColourBar
from wavetwin.explain.pictures.colours import heat
from wavetwin.explain.pictures.frequency_plane import Cell, frequency_plane
from wavetwin.explain.study.positions import PacketPosition

__all__ = ["heat_plane"]


def heat_plane(
    levels: int,
    positions: Sequence[PacketPosition],
    values: Sequence[float],
    *,
    title: str,
    scale: Sequence[float],
) -> str:
    """Return the plane as an `<svg>` element.

    Args:
        levels: J of the packets whose cells the filters have.
        positions: of the filters.
        values: one a filter, not negative.
        title: above the plane.
        scale: the values below the colour bar, rising; the ends of the colours are 0 and the last, and
            what is larger has the last one's colour.
    """
    top = math.sqrt(scale[-1])
    cells = {
        position.number: Cell(
            heat(math.sqrt(value), 0.0, top),
            text=_short(value),
            title=f"filter {position.number}: {value:z.4f}, {position.orientation:.0f} degrees",
        )
        for position, value in zip(positions, values, strict=True)
    }
    ticks = [(math.sqrt(value) / top, _tick(value, scale)) for value in scale]
    if scale[0] > 0:
        ticks.insert(0, (0.0, "0"))
    bar = ColourBar("colours go by the square root", ticks)
    return frequency_plane(levels, cells, title=title, bar=bar)


def _short(value: float) -> str:
    """Return a number in three or four characters: `.19`, `1.4`, `38`."""
    if value >= 9.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


def _tick(value: float, scale: Sequence[float]) -> str:
    return f"{value:g} and more" if value == scale[-1] else f"{value:g}"
