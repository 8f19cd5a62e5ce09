"""Write figures as SVG and PDF with their data as CSV; the one module that imports matplotlib.

The same data gives the same bytes: no date, fixed identifiers, and fonts in the files themselves, as
outlines in SVG and as subsets of TrueType fonts in PDF. Nothing asks for a screen.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.files.atomic import write_file
from wavetwin.files.csv_text import csv_text
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.packages import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMS", "PaperFigure", "render_figure", "write_figures"]

FORMS = ("svg", "pdf")
_SETTINGS: Mapping[Any, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "wavetwin",
}
_METADATA: Mapping[str, Mapping[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """One figure: how it is drawn, and the numbers that it shows."""

    name: str
    """Of its files, without the ending."""
    size: tuple[float, float]
    """Inches: a column of a paper is about 3.4 wide, a page 7."""
    draw: Callable[[Figure], None]
    header: Sequence[str]
    rows: Sequence[Sequence[str | float]]
    is_placed: bool = False
    """Whether `draw` says where its axes lie; otherwise they are laid out so that nothing overlaps."""


def render_figure(figure: PaperFigure, form: str) -> bytes:
    """Return a figure's file, `svg` or `pdf`.

    Raises:
        RunError: `package-missing`.
    """
    require("matplotlib", "a figure as SVG or PDF")
    import matplotlib
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with matplotlib.rc_context(dict(_SETTINGS)):
        drawn = Figure(figsize=figure.size, layout=None if figure.is_placed else "constrained")
        figure.draw(drawn)
        drawn.savefig(content, format=form, metadata=dict(_METADATA[form]))
    return content.getvalue()


def write_figures(folder: Path, figures: Sequence[PaperFigure]) -> list[Path]:
    """Write each figure's SVG, PDF and CSV into a folder, and return the files.

    Raises:
        RunError: `package-missing`, or the folder cannot be written.
    """
    written: list[Path] = []
    for figure in figures:
        contents = {form: render_figure(figure, form) for form in FORMS}
        contents["csv"] = csv_text(figure.header, figure.rows).encode()
        for ending, content in contents.items():
            file = folder / f"{figure.name}.{ending}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_file(file, content)
            except OSError as error:
                raise RunError(
                    write_code(error),
                    f"cannot be written: {error.strerror or error}",
                    "make room, or name another folder with --figures",
                    subject=file,
                ) from error
            written.append(file)
    return written
