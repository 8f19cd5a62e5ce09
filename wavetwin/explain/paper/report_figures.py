"""Choose the figures of a report's runs: curves, shifts and first layers."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.explain.paper.figure_files import PaperFigure
from wavetwin.explain.paper.kernel_figures import kernel_figure
from wavetwin.explain.paper.line_figures import line_figures
from wavetwin.explain.report.curves import curve_plots
from wavetwin.explain.report.first_layer import FirstLayer, read_first_layer
from wavetwin.explain.report.runs import Run
from wavetwin.explain.report.shift_curves import shift_plots

__all__ = ["report_figures"]


def report_figures(runs: Sequence[Run]) -> list[PaperFigure]:
    """Return a figure of each plot that the report has, and one of all first layers, in the runs' order.

    Raises:
        RunError: a run's weights or graph are damaged.
    """
    figures = line_figures([*curve_plots(runs), *shift_plots(runs)])
    layers = [(run.label, read_first_layer(run)) for run in runs]
    shown = [(label, each.kernel) for label, each in layers if isinstance(each, FirstLayer)]
    return [*figures, kernel_figure(shown)] if shown else figures
