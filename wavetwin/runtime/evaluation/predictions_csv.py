"""Write the predictions of an entry as CSV, a row an image."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from wavetwin.files.csv_text import Cell, csv_text
from wavetwin.runtime.evaluation.per_image import PROBABILITIES, Evaluated
from wavetwin.runtime.process.errors import RunError

__all__ = ["predictions_csv", "read_file_names"]

INDEX, FILE = "index", "file"
"""Headings of the first columns."""


def predictions_csv(evaluated: Evaluated) -> str:
    """Return the text: the image, its label, its top prediction, and the probability of each class.

    `index` is the image's position in the split, from 0; `file`, where images are files, its path
    below the split's folder. Classes go by name; probabilities have six digits.

    Args:
        evaluated: with a table that has `probabilities`.
    """
    names = evaluated.class_names
    header = ["label", "prediction", *(f"p_{name}" for name in names)]
    header = [INDEX, *([] if evaluated.files is None else [FILE]), *header]
    return csv_text(header, _rows(evaluated))


def _rows(evaluated: Evaluated) -> Iterator[list[Cell]]:
    table, names = evaluated.per_image, evaluated.class_names
    for row, position in enumerate(table["positions"].tolist()):
        cells: list[Cell] = [position]
        if evaluated.files is not None:
            cells.append(evaluated.files[row])
        cells += [names[int(table[column][row])] for column in ("labels", "classes")]
        # Six digits are what float32 is sure of; they are read as numbers all the same.
        cells += [float(f"{value:.6g}") for value in table[PROBABILITIES][row].tolist()]
        yield cells


def read_file_names(file: Path) -> dict[int, str]:
    """Return the file of each image by its position in the split; empty where images have none.

    Raises:
        RunError: the file is missing, or not what `predictions_csv` writes.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if header[:1] != [INDEX]:
                raise ValueError(f"its first column is not {INDEX}")
            if header[1:2] != [FILE]:
                return {}
            # Row by row: a file of a thousand classes may be larger than the memory.
            return {int(row[0]): row[1] for row in reader if _has_length(row, header)}
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(
            "file-damaged",
            f"cannot be read: {error}",
            "evaluate again with evaluate.py --again",
            subject=file,
        ) from error


def _has_length(row: list[str], header: list[str]) -> bool:
    if len(row) != len(header):
        raise ValueError(f"a row has {len(row)} cells, the header {len(header)}")
    return True
