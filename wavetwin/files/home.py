"""Find what belongs to the user: a path below a home, and the folder where answers are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["cache_folder", "expand_home"]


def expand_home(path: str | Path) -> Path:
    """Return a path with its `~` or `~NAME` replaced; it stays where there is no such home.

    `Path.expanduser` raises there, as in containers whose user has no home.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def cache_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """Return wavetwin's folder for what can be made again; None for a user without a home.

    By the XDG Base Directory Specification: a variable that is no absolute path does not count.
    """
    given = (os.environ if environment is None else environment).get("XDG_CACHE_HOME", "")
    base = Path(given) if given else expand_home("~/.cache")
    if not base.is_absolute():
        base = expand_home("~/.cache")
    return base / "wavetwin" if base.is_absolute() else None
