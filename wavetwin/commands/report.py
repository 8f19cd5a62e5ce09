"""`wavetwin report`: show runs in one page; the compiler says what differs between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_trials
from wavetwin.commands.output import FINE, path_or_none
from wavetwin.diagnostics import CompileError
from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import say
from wavetwin.explain.pictures.colours import heat
from wavetwin.explain.pictures.frequency_plane import Cell, frequency_plane

if TYPE_CHECKING:
    import argparse

    from markupsafe import Markup

    from wavetwin.explain.report import PacketWeights

__all__ = ["add_arguments", "draw_packets", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="run folders, or scores files of `wavetwin evaluate`"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="report.html",
        help="FILE.html, or FILE.md for its tables as Markdown; default: report.html",
    )
    parser.add_argument(
        "--published",
        action="store_true",
        help="in the Markdown, too, and with the published tables of the data set",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="mean flip rates in percent of this run's, or of published:NAME",
    )
    parser.add_argument(
        "--paired",
        metavar=("FIRST", "SECOND"),
        nargs=2,
        help="the second experiment's scores minus the first's, paired by seed and image",
    )
    parser.add_argument(
        "--csv",
        metavar="DIR",
        help="write accuracies by class, confusion matrices and calibration as CSV files there",
    )
    parser.add_argument(
        "--label",
        metavar="ID=NAME",
        action="append",
        default=[],
        dest="labels",
        help="what a run is called: ID is its folder's name, or its experiment's; may be repeated",
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        help="write each figure as SVG and PDF for a paper, with its numbers as CSV",
    )
    parser.add_argument(
        "--latex", metavar="FILE", help="write the tables in LaTeX, for the package booktabs"
    )
    add_trials(parser)
    parser.epilog = "Runs stand in the order of the arguments."
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the report, and print its Markdown and where it is.

    Raises:
        RunError: see `wavetwin.explain.report.write_report`.
    """
    from wavetwin.explain.report import CompilerParts, ReportOptions
    from wavetwin.explain.report.write import read_report

    output = Path(options.output)
    paired = None if options.paired is None else (options.paired[0], options.paired[1])
    wanted = ReportOptions(
        options.published,
        options.baseline,
        paired,
        options.trials,
        path_or_none(options.csv),
        tuple(options.labels),
    )
    if options.figures is not None:
        from wavetwin.runtime.process.packages import require

        require("matplotlib", "--figures")
    material = read_report([Path(run) for run in options.runs], wanted)
    say(material.write(output, CompilerParts(_difference, draw_packets)))
    say(f"\nreport: {output}\n")
    if wanted.csv is not None:
        say(f"tables: {wanted.csv}\n")
    if options.latex is not None:
        from wavetwin.explain.paper.latex import as_latex
        from wavetwin.explain.report.write import write_text

        write_text(Path(options.latex), as_latex(material.sections()))
        say(f"tables: {options.latex}\n")
    if options.figures is not None:
        from wavetwin.explain.paper.figure_files import write_figures
        from wavetwin.explain.paper.report_figures import report_figures

        written = write_figures(Path(options.figures), report_figures(material.runs))
        names = dict.fromkeys(file.stem for file in written)
        say(f"figures: {options.figures}: {', '.join(names)}; each as .svg, .pdf and .csv\n")
    return FINE


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


def _difference(first: Path, second: Path) -> Markup:
    """Return what differs between two runs as HTML; a warning where a spec no longer compiles."""
    from wavetwin.commands.diff_answer import diff_fragment
    from wavetwin.explain.html import remark

    try:
        return diff_fragment(first, second, level=4)
    except CompileError as error:
        faults = list_some((f"{each.code}: {each.headline}" for each in error.diagnostics), "; ")
        return remark(f"The difference cannot be computed: {faults}", "warning")
