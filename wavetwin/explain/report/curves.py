"""Draw training and validation curves, with those of the published models beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from wavetwin.explain.html import figure, fill, table
from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series, draw_plot, key_of
from wavetwin.explain.report.against_published import match_published
from wavetwin.explain.report.overview import curve_of
from wavetwin.explain.report.page import Part
from wavetwin.explain.report.runs import Run
from wavetwin.published import PublishedModel

__all__ = ["curve_plots", "curves_part", "run_key"]

_CURVES = (
    ("training loss", "train", "loss", "cross-entropy, nats"),
    ("training top-1 error", "train", "top1_error", "share of images"),
    ("validation top-1 error", "validation", "top1_error", "share of images"),
)
"""Title, section and name of the values, and their unit."""


def curves_part(runs: Sequence[Run]) -> Part:
    """Return the curves over the epochs, with the numbers below."""
    trained = [(Look(number), run) for number, run in enumerate(runs) if run.epochs]
    published = published_looks(runs)
    figures: list[Markup] = []
    for plot in curve_plots(runs):
        picture = draw_plot(plot)
        if picture:
            figures.append(figure(Markup(picture), f"{plot.title.capitalize()} over the epochs"))
    rows = [row for _, run in trained for row in _last_values(run)]
    header = ["run", "epoch", "training loss", "training error", "validation loss"]
    caption = "Last and best epoch of each run; the best has the lowest validation top-1 error"
    last = table(caption, [*header, "validation error"], rows) if rows else None
    remarks = [f"no epochs: {run.label}" for run in runs if not run.epochs]
    if published:
        remarks.append(
            "the published training loss is as its code recorded it; a run's is the mean "
            "cross-entropy over the epoch"
        )
    body = fill("report_parts", "curves", run_key(runs, published), figures, last, remarks)
    return Part("curves", "Training and validation", body)


def curve_plots(runs: Sequence[Run]) -> list[LinePlot]:
    """Return the plots of losses and errors over the epochs, some of which may have no points."""
    published = published_looks(runs)
    plots: list[LinePlot] = []
    for title, part, name, unit in _CURVES:
        series = [
            Series(run.label, curve_of(run, part, name), Look(number))
            for number, run in enumerate(runs)
            if run.epochs
        ]
        for look, model in published:
            values = enumerate(_published_values(model, part, name), 1)
            series.append(Series(model.name, [(float(at), value) for at, value in values], look))
        plots.append(LinePlot(title, "epoch", unit, series, is_rate=name.endswith("error")))
    return plots


def published_looks(runs: Sequence[Run]) -> list[tuple[Look, PublishedModel]]:
    """Return the runs' published models, each once, drawn like the first run that is set on it."""
    looks: dict[str, tuple[Look, PublishedModel]] = {}
    for number, run in enumerate(runs):
        match = match_published(run)
        if match is not None:
            looks.setdefault(match.model.name, (Look(number, is_published=True), match.model))
    return list(looks.values())


def run_key(runs: Sequence[Run], published: Sequence[tuple[Look, PublishedModel]]) -> Markup:
    """Return the list of the runs' and the published models' lines and markers."""
    entries = [(Look(number), run.label) for number, run in enumerate(runs)]
    entries += [(look, f"published {model.name}") for look, model in published]
    return Markup(key_of(entries))


def _published_values(model: PublishedModel, part: str, name: str) -> Sequence[float]:
    if (part, name) == ("train", "loss"):
        return model.train_loss
    return model.validation_top1_error if (part, name) == ("validation", "top1_error") else ()


def _last_values(run: Run) -> list[list[str]]:
    """Return the rows of the last epoch and of the one that validates best."""
    rows = [_epoch_cells(run, run.epochs[-1], "")]
    validated = [line for line in run.epochs if line["validation"] is not None]
    if validated:
        best = min(validated, key=lambda line: line["validation"]["top1_error"])
        if best is not run.epochs[-1]:
            rows.append(_epoch_cells(run, best, ", best"))
    return rows


def _epoch_cells(run: Run, line: Mapping[str, Any], which: str) -> list[str]:
    cells = [run.label + which, str(line["epoch"])]
    for part in ("train", "validation"):
        values = line[part]
        if values is None:
            cells += ["", ""]
        else:
            cells += [f"{values['loss']:z.4f}", f"{values['top1_error']:z.2%}"]
    return cells
