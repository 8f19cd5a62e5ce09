"""Find what belongs to the user: a path below a home, and the folders of settings and of kept answers.

By the XDG Base Directory Specification: a variable that is no absolute path does not count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["cache_folder", "config_folder", "expand_home"]


def expand_home(path: str | Path) -> Path:
    """Return a path with its `~` or `~NAME` replaced; it stays where there is no such home.

    `Path.expanduser` raises there, as in containers whose user has no home.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def cache_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """Return wavetwin's folder for what can be made again; None for a user without a home."""
    variables = os.environ if environment is None else environment
    folder = _below(variables.get("XDG_CACHE_HOME", ""), "~/.cache")
    return folder if folder.is_absolute() else None


def config_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return wavetwin's folder for settings; a relative path for a user without a home."""
    variables = os.environ if environment is None else environment
    return _below(variables.get("XDG_CONFIG_HOME", ""), "~/.config")


def _below(given: str, default: str) -> Path:
    return (Path(given) if Path(given).is_absolute() else expand_home(default)) / "wavetwin"
