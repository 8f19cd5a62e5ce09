"""Say why a file that a spec names cannot be read, and which one was meant."""

from __future__ import annotations

import stat
from pathlib import Path

from wavetwin.compiler.parse.suggest import nearest
from wavetwin.diagnostics import Diagnostic

__all__ = ["is_folder", "suggest_file", "why_not_readable"]


def why_not_readable(path: Path) -> str | None:
    """Return what keeps a file from being read; None where nothing does."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return "is a folder" if stat.S_ISDIR(mode) else "is not a file"
        with path.open("rb"):
            return None
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def suggest_file(path: Path) -> str | None:
    """Return which file was meant by one that is not there; None where nothing is like it."""
    try:
        names = sorted(each.name for each in path.parent.iterdir() if each.suffix == ".yaml")
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no folder '{path.parent.name}' there"
    except OSError:
        return None  # what keeps the folder from being read keeps the file, and is reported there
    name = nearest(path.name, names)
    return None if name is None else f"did you mean '{name}'?"


def is_folder(shown: str) -> Diagnostic:
    """Return what is wrong with a folder that is named as a spec."""
    return Diagnostic(
        "file-unreadable",
        "this is a folder, and one spec is needed",
        subject=shown,
        help="name a .yaml file in it",
    )
