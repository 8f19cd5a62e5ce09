"""Show how runs judge each class: accuracies, confusions, and how far probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from wavetwin.explain.html import figure, fill, table
from wavetwin.explain.pictures.confusion_picture import (
    MOST_DRAWN_CLASSES,
    Bin,
    draw_confusion,
    draw_reliability,
)
from wavetwin.explain.pictures.svg import render_svg
from wavetwin.explain.report.figures import with_interval
from wavetwin.explain.report.page import Part, with_intervals
from wavetwin.explain.report.predicted import EntryPredictions, Predictions, read_predictions
from wavetwin.explain.report.runs import Run
from wavetwin.runtime.evaluation.calibration import Calibration
from wavetwin.runtime.evaluation.predictions_csv import read_file_names
from wavetwin.runtime.process.errors import RunError

__all__ = ["classes_part"]

_MOST_CLASSES = 40
"""Of a table: of more classes those that are recognised worst are shown."""
_MOST_CONFUSIONS, _MOST_MISTAKES = 10, 5


def classes_part(runs: Sequence[Run]) -> Part | None:
    """Return tables and pictures of every entry that keeps top predictions; None where none does.

    A table that cannot be read is named with what is wrong; the others are shown.
    """
    entries, faults = read_predictions(runs)
    if not entries and not faults:
        return None
    sections = [(entry.label, _entry_body(entry, runs, faults)) for entry in entries]
    remarks = [
        "interval of a class: 95 %, Wilson's, over its images; calibration errors have none: of few images "
        "they are too large on average, whatever sample is drawn",
    ]
    shown = {each.number for entry in entries for each in entry.found}
    remarks += [
        f"no top predictions: {run.label}" for number, run in enumerate(runs) if number not in shown
    ]
    remarks += [
        f"predictions of {each.run.label}, {entry.label}, as CSV: {each.record['predictions_csv']} in its folder"
        for entry in entries
        for each in entry.found
        if each.record.get("predictions_csv")
    ]
    damaged = [f"{error.headline}; {error.remedy}" for error in faults]
    body = fill("report_parts", "classes", damaged, sections, remarks)
    return Part("classes", "Classes and calibration", body)


def _entry_body(entry: EntryPredictions, runs: Sequence[Run], faults: list[RunError]) -> Markup:
    figures = [picture for each in entry.found for picture in _figures(entry, each)]
    folded = [
        part
        for each in entry.found
        for part in (*_confusions(entry, each), *_mistakes(entry, each, faults))
    ]
    tables = [*_calibrations(entry), *_accuracies(entry)]
    return fill("report_parts", "classes_of_entry", tables, figures, folded)


def _accuracies(entry: EntryPredictions) -> Iterator[Markup]:
    """Yield a table for all runs with the same classes: a row a class, a column a run."""
    groups: dict[tuple[str, ...], list[Predictions]] = {}
    for each in entry.found:
        groups.setdefault(each.names, []).append(each)
    for names, found in groups.items():
        columns = [each.accuracies for each in found]
        first = columns[0]
        order = list(range(len(names)))
        caption = f"Accuracy of each class, {entry.label}"
        if len(names) > _MOST_CLASSES:
            worst = sorted(order, key=lambda at: (first[at].accuracy is None, first[at].accuracy))
            order = worst[:_MOST_CLASSES]
            caption += f": the {_MOST_CLASSES} of {len(names)} lowest of {found[0].run.label}"
        header = ["class", "images", *(each.run.label for each in found)]
        rows = [
            [
                names[at],
                f"{first[at].images:,}",
                *(
                    ""
                    if column[at].accuracy is None
                    else with_interval(column[at].accuracy or 0.0, column[at].interval, "rate")
                    for column in columns
                ),
            ]
            for at in order
        ]
        yield table(caption, header, with_intervals(rows))


def _calibrations(entry: EntryPredictions) -> Iterator[Markup]:
    rows = [
        [
            each.run.label,
            f"{len(each.table.labels):,}",
            f"{float(each.table.is_right.double().mean()):z.2%}",
            f"{found.mean_confidence:z.2%}",
            _calibration_figure(found),
        ]
        for each in entry.found
        if (found := each.calibration) is not None
    ]
    if rows:
        header = ["run", "images", "accuracy", "mean probability", "calibration error (ECE)"]
        yield table(f"Probability of the top prediction, {entry.label}", header, rows)


def _calibration_figure(calibration: Calibration) -> str:
    """Return the expected calibration error with its number of bins."""
    return f"{calibration.error:z.2%}, {calibration.bins} bins"


def _figures(entry: EntryPredictions, each: Predictions) -> Iterator[Markup]:
    label = each.run.label
    if len(each.names) <= MOST_DRAWN_CLASSES:
        title = f"Confusion matrix, {entry.label}: {label}"
        drawing = draw_confusion(each.confusion.tolist(), each.names, title)
        yield figure(Markup(render_svg(drawing)), title)
    calibration = each.calibration
    if calibration is not None:
        bins = zip(calibration.images, calibration.accuracy, calibration.confidence, strict=True)
        title = f"Reliability, {entry.label}: {label}, ECE {_calibration_figure(calibration)}"
        drawing = draw_reliability([Bin(*row) for row in bins], title)
        yield figure(Markup(render_svg(drawing)), title)


def _confusions(entry: EntryPredictions, each: Predictions) -> Iterator[tuple[str, Markup]]:
    """Yield the pairs of classes that are taken for each other most often."""
    matrix = each.confusion
    images = matrix.sum(1).tolist()
    wrong = matrix.clone().fill_diagonal_(0)
    order = wrong.flatten().argsort(descending=True, stable=True)[:_MOST_CONFUSIONS].tolist()
    rows: list[list[str]] = []
    for at in order:
        label, prediction = divmod(at, len(each.names))
        count = int(wrong[label, prediction])
        if count:
            share = count / images[label]
            rows.append([each.names[label], each.names[prediction], f"{count:,}", f"{share:.2%}"])
    if rows:
        caption = f"Most frequent confusions, {entry.label}: {each.run.label}"
        header = ["label", "prediction", "images", "of the label's images"]
        yield caption, table(caption, header, rows, has_heading=True)


def _mistakes(
    entry: EntryPredictions, each: Predictions, faults: list[RunError]
) -> Iterator[tuple[str, Markup]]:
    """Yield the wrong predictions with the highest probabilities; by file, where the CSV names them."""
    seen = each.table
    if seen.confidence is None:
        return
    files: dict[int, str] = {}
    name = each.record.get("predictions_csv")
    if name is not None:
        try:
            files = read_file_names(each.run.folder / name)
        except RunError as error:
            faults.append(error)
    wrong = seen.confidence.double().masked_fill(seen.is_right, -1.0)
    rows: list[list[str]] = []
    for at in wrong.argsort(descending=True, stable=True)[:_MOST_MISTAKES].tolist():
        if wrong[at] >= 0:
            position = int(seen.positions[at])
            label, prediction = each.names[int(seen.labels[at])], each.names[int(seen.classes[at])]
            image = files.get(position, f"index {position}")
            rows.append([image, label, prediction, f"{float(wrong[at]):.2%}"])
    if rows:
        caption = f"Most confident mistakes, {entry.label}: {each.run.label}"
        header = ["image", "label", "prediction", "probability"]
        yield caption, table(caption, header, rows, kind="text", has_heading=True)
