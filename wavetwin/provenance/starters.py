"""Find the starter specs: those that come with wavetwin, and that specs of any project can extend.

`wavetwin:resnet34/RwyI.yaml` is a file of the installed package (of the checkout's `specs/`, where there
is one). Standard library only, and cheap: whoever shows a path asks whether it is one of them.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from wavetwin.ir.sweeps import SWEEP_SUFFIX

__all__ = [
    "PREFIX",
    "STARTERS_MARKER",
    "find_starters",
    "starter_file",
    "starter_folder",
    "starter_name",
    "starter_names",
]

PREFIX = "wavetwin:"
"""Begins the name of a starter spec where a path of the project could stand, too."""
STARTERS_MARKER = "wavetwin-specs.txt"


def find_starters(root: Path) -> Path | None:
    """Return the starter specs of the package at `root`: inside it (wheel) or beside it (checkout).

    None where neither folder holds the marker file: a copy inside a built folder has none.
    """
    for folder in (root / "specs", root.parent / "specs"):
        if (folder / STARTERS_MARKER).is_file():
            return folder
    return None


@cache
def starter_folder() -> Path | None:
    """Return the imported package's, links resolved."""
    return find_starters(Path(__file__).resolve().parents[1])


@cache
def starter_names() -> tuple[str, ...]:
    """Return every starter spec by its name without the prefix, parts in `base/` among them, sorted."""
    folder = starter_folder()
    if folder is None:
        return ()
    return tuple(
        sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*.yaml")
            if not path.name.endswith(SWEEP_SUFFIX)
        )
    )


def starter_file(name: str) -> Path | None:
    """Return the file of a name such as `resnet34/RwyI.yaml`; None where there is no such starter."""
    folder = starter_folder()
    return None if folder is None or name not in starter_names() else folder / name


def starter_name(file: Path, project: Path) -> str | None:
    """Return what a starter spec is called, with the prefix; None of any other file.

    In wavetwin's own repository the starters are the project's specs, and have plain paths.
    """
    folder = starter_folder()
    # resolve() would follow the links of a user's project, which are inputs themselves.
    path = Path(os.path.abspath(file))  # noqa: PTH100
    if folder is None or not path.is_relative_to(folder):
        return None
    if Path(os.path.realpath(project)) / "specs" == folder:
        return None
    return PREFIX + path.relative_to(folder).as_posix()
