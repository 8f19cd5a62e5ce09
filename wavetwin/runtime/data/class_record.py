"""Record the classes of a run in the order of their numbers: what its weights' outputs mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wavetwin.diagnostics.terminal import printable
from wavetwin.files.json_form import FormError, check_form
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json

__all__ = ["CLASS_NAMES", "check_class_order", "check_order_beside", "recorded_names"]

CLASS_NAMES = "class_names"
"""Key of a run's manifest; None where the data set's classes have numbers alone."""


def recorded_names(names: Sequence[str] | None) -> list[str] | None:
    """Return class names as they are recorded: escapes for what is no text."""
    return None if names is None else [printable(name) for name in names]


def check_class_order(manifest: Mapping[str, Any], names: Sequence[str] | None, run: Path) -> None:
    """Compare the data set's classes with those that a run was trained with.

    A run of an earlier version recorded none: its class folders were numbered in the order of their
    names as text.

    Args:
        manifest: the run's.
        names: the data set's, in the order of their numbers.
        run: its folder, for the error.

    Raises:
        RunError: a class had another number, so that the weights mean others by the numbers; or the
            record is damaged.
    """
    own = recorded_names(names)
    if own is None:
        return
    before = manifest.get(CLASS_NAMES)
    try:
        check_form(before, list[str] | None, CLASS_NAMES)
    except FormError as error:
        raise RunError(
            "file-damaged",
            f"is damaged: {error}",
            "bring back the file as it was",
            subject=run / "manifest.json",
        ) from error
    origin = "" if before else ", as an earlier version numbered folders by their names as text"
    before = before or sorted(own)
    if before == own:
        return
    at = next(
        (n for n, pair in enumerate(zip(before, own, strict=False)) if pair[0] != pair[1]),
        min(len(before), len(own)),
    )
    old, new = (names[at] if at < len(names) else "none" for names in (before, own))
    raise RunError(
        "data-do-not-fit",
        f"was trained with {old} as class {at}{origin}; here class {at} is {new}",
        "bring the class folders back as they were, or train again (--new)"
        if not origin
        else "rename the class folders so that both orders agree (zero-padded: 02 before 10), or "
        "train again (--new)",
        subject=run,
    )


def check_order_beside(weights: Path, names: Sequence[str] | None) -> None:
    """Compare the data set's classes with those of the run that a weights file lies in, if any.

    Raises:
        RunError: a class had another number.
    """
    for folder in weights.absolute().parents[:3]:
        if (folder / "manifest.json").is_file():
            manifest = read_json(folder / "manifest.json")
            if isinstance(manifest, dict) and "wavetwin_run" in manifest:
                check_class_order(manifest, names, folder)
            return
