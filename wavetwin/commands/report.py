"""`wavetwin report`: the runtime reads the runs, the compiler says what differs between them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from wavetwin.diagnostics import CompileError
from wavetwin.explain.pictures.colours import heat
from wavetwin.explain.pictures.frequency_plane import Cell, frequency_plane
from wavetwin.explain.report import CompilerParts, PacketWeights, ReportOptions, write_report

__all__ = ["draw_packets", "report_command"]


def report_command(runs: Sequence[Path], output: Path, options: ReportOptions) -> str:
    """Write the report of run folders and books of scores; return its Markdown.

    Raises:
        RunError: see `wavetwin.explain.report.write_report`.
    """
    return write_report(runs, output, options, CompilerParts(_difference, draw_packets))


def draw_packets(packets: PacketWeights, title: str) -> str:
    """Return the packets of a first layer in the frequency plane, the weightier the lighter."""
    most = max(packets.weights.values(), default=0.0)
    cells = {
        number: Cell(
            heat(weight, 0.0, most),
            text=str(number),
            title=f"packet {number}, band {packets.bands[number]}: {weight:.3g}",
        )
        for number, weight in packets.weights.items()
    }
    legend = [(heat(share, 0.0, 1.0), f"{share * most:.3g}") for share in (0.0, 0.5, 1.0)]
    legend.append(("#ffffff", "not used"))
    return frequency_plane(
        packets.levels, cells, title=title, transform=packets.transform, legend=legend
    )


def _difference(first: Path, second: Path) -> str:
    """Return what differs between two runs; where a spec no longer compiles, that it does not."""
    from wavetwin.commands.diff import diff_fragment

    try:
        return diff_fragment(first, second, level=4)
    except CompileError as error:
        faults = "; ".join(f"{fault.code}: {fault.headline}" for fault in error.diagnostics)
        return f'<p class="warning">What differs cannot be told: {html.escape(faults)}</p>'
