"""Order classes: by names that hold numbers, and by pairs of name and class."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from wavetwin.diagnostics.listing import list_some
from wavetwin.runtime.process.errors import RunError

__all__ = [
    "check_same_classes",
    "in_natural_order",
    "number_classes",
]

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_DIGITS = re.compile(r"([0-9]+)")
_WNID = re.compile(r"n[0-9]{8}")


def in_natural_order(names: Iterable[str], folder: Path) -> list[str]:
    """Return names with numbers as numbers: 2 before 10, `class_2` before `class_10`.

    Where all names are numbers, sign and decimals count; else runs of digits are compared as whole
    numbers and what lies between them as text. Names without digits are sorted as text.

    Args:
        names: of folders.
        folder: where they are, for the error.

    Raises:
        RunError: all are numbers, and two are the same one (`1` and `01`).
    """
    given = list(names)
    if not all(_NUMBER.fullmatch(name) for name in given):
        return sorted(given, key=lambda name: (_natural(name), name))
    ordered = sorted(given, key=Decimal)
    for first, second in itertools.pairwise(ordered):
        if Decimal(first) == Decimal(second):
            raise RunError(
                "data-do-not-fit",
                f"has {first} and {second}, which are the same number",
                "rename one of them, or put their images together",
                subject=folder,
            )
    return ordered


def number_classes(
    folder: Path,
    names: Sequence[str],
    known: Sequence[str] | None,
    num_classes: int,
    official: Sequence[str] | None = None,
) -> dict[str, int]:
    """Return the class of each folder that belongs to a model's classes.

    Folders of ImageNet's classes beside those of a model that knows some of them are left out.

    Args:
        folder: what the class folders lie in.
        names: theirs.
        known: the data set's class names in the order of their numbers; None: it has numbers only.
        num_classes: how many the model has.
        official: names that the official data set gives its numbers.

    Raises:
        RunError: a class has no folder, a folder has no class, or nothing says which is which.
    """
    if known is None and official is not None and set(map(_plain, names)) == set(official):
        positions = {name: number for number, name in enumerate(official)}
        return {name: positions[_plain(name)] for name in names}
    if known is None:
        return _by_number(folder, names, num_classes)
    numbers = {name: number for number, name in enumerate(known)}
    unknown = [name for name in names if name not in numbers]
    missing = [name for name in known if name not in set(names)]
    is_subset = all(map(_WNID.fullmatch, [*known, *unknown]))
    if missing or (unknown and not is_subset):
        parts = [f"none of {list_some(missing)}"] if missing else []
        parts += [f"{list_some(unknown)}, which the data set does not have"] if unknown else []
        raise RunError(
            "data-do-not-fit",
            f"has other classes than the data set: {', and '.join(parts)}",
            f"it needs {num_classes} folders with the data set's names: {list_some(known)}",
            subject=folder,
        )
    return {name: numbers[name] for name in names if name in numbers}


def check_same_classes(
    train: Path, train_names: Sequence[str], other: Path, other_names: Sequence[str], planned: int
) -> None:
    """Compare the class folders of two sets.

    Raises:
        RunError: they differ; reported of the set whose number of classes is not the planned one.
    """
    extra = sorted(set(train_names) - set(other_names))
    missing = sorted(set(other_names) - set(train_names))
    if not extra and not missing:
        return
    headlines = [f"{train} and {other} have different classes"]
    remedies: list[str] = []
    if extra:
        headlines.append(f"{list_some(extra)} in {train} alone")
    if missing:
        headlines.append(f"{list_some(missing)} in {other} alone")
    for folder, count, own, others in (
        (train, len(train_names), extra, missing),
        (other, len(other_names), missing, extra),
    ):
        if count > planned and own:
            remedies.append(
                f"{folder} has {count} classes of {planned}: move {list_some(own)} away"
            )
        elif count < planned and others:
            remedies.append(f"{folder} has {count} classes of {planned}: add {list_some(others)}")
    if not remedies and len(extra) == len(missing) == 1:
        remedies.append(f"rename {missing[0]} in {other} to {extra[0]}, if it is the same class")
    raise RunError(
        "data-do-not-fit",
        "; ".join(headlines),
        "; ".join(remedies) or "every set needs a folder for every class",
    )


def _by_number(folder: Path, names: Sequence[str], num_classes: int) -> dict[str, int]:
    """Return the one number that differs between the names, where it runs from 0."""
    remedy = (
        f"name the folders by the numbers of the classes, 0 to {num_classes - 1}: 7, 007 and "
        "class_7 are all class 7"
    )
    if len(names) != num_classes:
        raise RunError(
            "data-do-not-fit",
            f"has {len(names)} classes, the model has {num_classes}"
            + (f": {list_some(names)}" if names else ""),
            remedy,
            subject=folder,
        )
    pieces = [_natural(name) for name in names]
    if len({len(each) for each in pieces}) == 1:
        differing = [column for column in zip(*pieces, strict=True) if len(set(column)) > 1]
        numbers = differing[0] if len(differing) == 1 else pieces[0][1:2] * num_classes
        if sorted(map(str, numbers)) == sorted(map(str, range(num_classes))):
            is_signed = any(name.startswith(("-", "+")) for name in names)
            if not is_signed:
                return {name: int(n) for name, n in zip(names, numbers, strict=True)}
    raise RunError(
        "data-do-not-fit",
        f"nothing says which folder of {folder} is which of the {num_classes} classes: "
        f"{list_some(names)}",
        remedy,
    )


def _natural(name: str) -> list[str | int]:
    """Return text and numbers in turn; text is first always, so that any two can be compared."""
    return [int(piece) if number % 2 else piece for number, piece in enumerate(_DIGITS.split(name))]


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
