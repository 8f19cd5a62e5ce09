"""Write what a report shows of classes as CSV files, whole: a page shortens long tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavetwin.explain.report.paired_classes import ClassDifference
from wavetwin.explain.report.predicted import EntryPredictions, Predictions, read_predictions
from wavetwin.explain.report.runs import Run
from wavetwin.files.atomic import write_file
from wavetwin.files.csv_text import Cell, csv_text
from wavetwin.runtime.process.errors import RunError, write_code

__all__ = ["write_class_files"]


def write_class_files(
    folder: Path, runs: Sequence[Run], differences: Sequence[ClassDifference]
) -> list[Path]:
    """Write the tables of all runs and a confusion matrix for each, and return the files.

    - `classes.csv`: images, right ones, accuracy and its interval, by run, entry and class;
    - `calibration.csv`: images, accuracy and mean probability, by run, entry and bin;
    - `confusion-RUN-ENTRY.csv`: a row a class, a column a prediction;
    - `paired-classes.csv`: differences by class, where two experiments are paired.

    Tables that cannot be read are left out; the page names them.

    Args:
        folder: is made.
        runs: those that are shown.
        differences: of paired experiments; empty: of none.

    Raises:
        RunError: a file cannot be written.
    """
    entries, _ = read_predictions(runs)
    found = [(entry, each) for entry in entries for each in entry.found]
    texts = {
        "classes.csv": _classes(found),
        "calibration.csv": _calibration(found),
        **{_matrix_name(entry, each): _matrix(each) for entry, each in found},
    }
    if differences:
        texts["paired-classes.csv"] = _differences(differences)
    files = [folder / name for name in texts]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, texts.values(), strict=True):
            write_file(file, text)
    except OSError as error:
        raise RunError(
            write_code(error),
            f"cannot be written: {error.strerror or error}",
            "make room, or name another folder with --csv",
            subject=error.filename or folder,
        ) from error
    return files


def _classes(found: Sequence[tuple[EntryPredictions, Predictions]]) -> str:
    header = ["experiment", "run", "entry", "class", "images", "right", "accuracy", "low", "high"]
    rows: list[list[Cell]] = [
        [
            each.run.name,
            each.run.manifest["run"],
            entry.label,
            row.name,
            row.images,
            row.right,
            row.accuracy,
            *(row.interval or (None, None)),
        ]
        for entry, each in found
        for row in each.accuracies
    ]
    return csv_text(header, rows)


def _calibration(found: Sequence[tuple[EntryPredictions, Predictions]]) -> str:
    header = ["experiment", "run", "entry", "above", "up_to", "images", "accuracy", "probability"]
    rows: list[list[Cell]] = []
    for entry, each in found:
        calibration = each.calibration
        if calibration is None:
            continue
        bins = calibration.bins
        columns = (calibration.images, calibration.accuracy, calibration.confidence)
        for number, (images, accuracy, confidence) in enumerate(zip(*columns, strict=True)):
            means = (accuracy, confidence) if images else (None, None)
            ends = number / bins, (number + 1) / bins
            rows.append(
                [each.run.name, each.run.manifest["run"], entry.label, *ends, images, *means]
            )
    return csv_text(header, rows)


def _matrix(each: Predictions) -> str:
    rows = zip(each.names, each.confusion.tolist(), strict=True)
    return csv_text(["label", *each.names], [[name, *counts] for name, counts in rows])


def _matrix_name(entry: EntryPredictions, each: Predictions) -> str:
    label = "-".join(entry.label.replace(",", " ").split())
    # Two runs may have one name in folders that differ: their number tells them apart.
    return f"confusion-{each.number + 1}-{each.run.name}-{label}.csv"


def _differences(differences: Sequence[ClassDifference]) -> str:
    header = ["entry", "class", "images", "first", "second", "difference", "low", "high"]
    rows = [
        [
            row.entry,
            row.name,
            row.images,
            row.first,
            row.second,
            row.difference.mean,
            row.difference.low,
            row.difference.high,
        ]
        for row in differences
    ]
    return csv_text(header, rows)
