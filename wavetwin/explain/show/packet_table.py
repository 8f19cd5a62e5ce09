"""Show a model's packets as a plane of characters and a table."""

from __future__ import annotations

from wavetwin.explain.packet_use import PacketChoice, PacketUse, centre, kind, orientation
from wavetwin.explain.text_table import align
from wavetwin.ir.packets import plane_cells

HEADS = (
    "packet",
    "down, rad/px",
    "right, rad/px",
    "angle, degrees",
    "dyadic band",
    "band",
    "group",
    "channels",
    "rule",
)


def packet_table(choice: PacketChoice) -> str:
    """Return what is kept, where in the frequency plane, and what becomes of it."""
    total = len(choice.uses)
    lines = [
        f"{choice.num_kept} of {total} packets kept: {choice.transform}, "
        f"{choice.levels} level{'s' * (choice.levels > 1)}, filters {choice.filters}",
        "",
        "The frequency plane, from -pi to pi radians a pixel: the packet's band, . where it is left out",
        "",
        *_plane(choice),
        "",
    ]
    rows = [HEADS, *(_row(choice, use) for use in choice.uses)]
    lines += align(rows, right=range(7))
    lines += [
        "",
        "down, right: the centre in radians a pixel, pi at most; a packet takes its opposite, too",
        "angle: of the waves, 0 along the rows, positive where they run down and to the right",
        "band: the item of `keep`, from 1, as everywhere; dyadic band: 1 is the last stage's",
        "rule: the rule of `exclude` that leaves the packet out, or would",
    ]
    if choice.transform == "wpt":
        lines.append("packets of wpt are real: each takes the mirrored angle, too")
    return "\n".join(lines) + "\n"


def _plane(choice: PacketChoice) -> list[str]:
    """Return the plane in rows of characters, the lowest vertical frequencies in the middle."""
    half = 2**choice.levels
    width = max(len(str(use.band or "")) for use in choice.uses)
    grid = [["?" * width] * (2 * half) for _ in range(2 * half)]
    for use in choice.uses:
        shown = str(use.band or ".").rjust(width)
        for row, column in plane_cells(choice.transform, choice.levels, use.number):
            grid[row][column] = shown
    return ["  " + " ".join(cells) for cells in grid]


def _row(choice: PacketChoice, use: PacketUse) -> tuple[str, ...]:
    down, right = centre(use.info, choice.levels)
    angle = "" if use.info.is_lowpass else f"{orientation(use.info, choice.levels):.0f}"
    return (
        str(use.number),
        f"{down:+z.2f}",
        f"{right:z.2f}",
        angle,
        "" if use.info.is_lowpass else str(use.info.dyadic_band),
        str(use.band or "-"),
        str(use.group or "-"),
        use.channels,
        kind(choice.transform, use.info, choice.levels),
    )
