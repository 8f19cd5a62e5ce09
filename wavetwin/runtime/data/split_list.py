"""Read the list that divides a user's own images: a CSV with path, label and split of each.

Faults name the list's line. Other columns are not read.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.data_lock import SPLITS
from wavetwin.runtime.data.class_order import in_natural_order
from wavetwin.runtime.data.detected import FileList
from wavetwin.runtime.data.listing import columns
from wavetwin.runtime.process.errors import RunError

__all__ = ["read_split_list"]

_COLUMNS = ("path", "label", "split")
_HEADER = ",".join(_COLUMNS)


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str
    size: int


def read_split_list(
    file: Path, folder: Path, known: Sequence[str] | None = None
) -> dict[str, FileList]:
    """Return the images of each split that a list names, in the list's order.

    Args:
        file: the list: UTF-8, the first line names the columns.
        folder: what its paths are relative to.
        known: the classes in the order of their numbers; None: the labels of the training images, or
            where there are none all labels, in natural order.

    Raises:
        RunError: the list cannot be read, or a line is wrong.
    """
    rows = _read_rows(file, folder)
    if not rows:
        raise _fault(file, 1, "names no images", f"write a line of {_HEADER} for each image")
    names = list(known) if known is not None else _class_names(rows, file)
    numbers = {name: number for number, name in enumerate(names)}
    for row in rows:
        if row.label not in numbers:
            of = "the lock has" if known is not None else "the training images have"
            raise _fault(
                file,
                row.line,
                f"has the label '{row.label}', {of} {list_some(names)}",
                "correct the label"
                if known is None
                else "correct the label, or let `wavetwin data prepare` write the lock anew",
            )
    sets: dict[str, FileList] = {}
    for split in SPLITS:
        own = [row for row in rows if row.split == split]
        if own:
            sets[split] = FileList(
                folder,
                tuple(names),
                *columns(
                    [os.fsencode(row.path) for row in own],
                    [row.size for row in own],
                    [numbers[row.label] for row in own],
                ),
            )
    return sets


def _class_names(rows: Sequence[_Row], file: Path) -> list[str]:
    trained = {row.label for row in rows if row.split == SPLITS[0]}
    return in_natural_order(trained or {row.label for row in rows}, file)


def _read_rows(file: Path, folder: Path) -> list[_Row]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise RunError(
            "data-set-missing",
            "is not there: the list that divides the images",
            "bring it back, or take data.split_list out of the spec",
            subject=file,
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise RunError("file-unreadable", f"cannot be read: {reason}", subject=file) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[_Row] = []
    lines: dict[str, int] = {}
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise _fault(
                file, 1, f"has no column {list_some(missing)}", f"begin the list with {_HEADER}"
            )
        for record in reader:
            row = _read_row(record, file, reader.line_num, folder)
            earlier = lines.setdefault(row.path, row.line)
            if earlier != row.line:
                raise _fault(
                    file,
                    row.line,
                    f"names {row.path}, which line {earlier} names already",
                    "an image counts once, in one split: delete one of the lines",
                )
            rows.append(row)
    except csv.Error as error:
        raise _fault(
            file, reader.reader.line_num, f"is no CSV: {error}", "put texts with commas in quotes"
        ) from error
    return rows


def _read_row(record: dict[str, str], file: Path, line: int, folder: Path) -> _Row:
    empty = [name for name in _COLUMNS if not (record[name] or "").strip()]
    if empty:
        raise _fault(file, line, f"has no {list_some(empty)}", f"each line has {_HEADER}")
    path, label, split = (record[name].strip() for name in _COLUMNS)
    if split not in SPLITS:
        raise _fault(file, line, f"has the split '{split}'", f"a split is {' or '.join(SPLITS)}")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or "\\" in path:
        raise _fault(
            file,
            line,
            f"names '{path}', which leads out of {folder}",
            "paths are relative to that folder, with slashes",
        )
    try:
        found = (folder / pure).stat()
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise _fault(
            file,
            line,
            f"names {folder / pure}, which is no file",
            "bring it back, or delete the line",
        )
    return _Row(line, str(pure), label, split, found.st_size)


def _fault(file: Path, line: int, text: str, remedy: str) -> RunError:
    return RunError("data-list-wrong", text, remedy, subject=f"{file}:{line}")
