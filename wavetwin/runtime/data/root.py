"""Find the data root, where the user keeps the images; never part of a spec."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavetwin.runtime.process.errors import RunError

__all__ = ["ROOT_REMEDY", "RootLocation", "find_data_root", "need_root", "root_locations"]

ROOT_REMEDY = (
    "say where the data lie with --data-root, the environment variable WAVETWIN_DATA, or "
    "data_root in ~/.config/wavetwin/config.toml"
)


@dataclass(frozen=True, slots=True)
class RootLocation:
    """One of the sources that may name the data root."""

    name: str
    root: Path | None
    """What it names; None where it names nothing."""
    was_asked: bool = True


def root_locations(
    argument: Path | None, environment: Mapping[str, str] | None = None
) -> list[RootLocation]:
    """Return the command line, the environment and the user's file: the first that names one wins.

    The file is read only where the others name none.

    Raises:
        RunError: the user's file cannot be read or has a data_root that is not a text.
    """
    variables = os.environ if environment is None else environment
    line = None if argument is None else argument.expanduser()
    given = variables.get("WAVETWIN_DATA")
    variable = Path(given).expanduser() if given else None
    base = variables.get("XDG_CONFIG_HOME")
    folder = Path(base) if base else Path("~/.config").expanduser()
    file = folder / "wavetwin" / "config.toml"
    is_asked = line is None and variable is None
    in_file = _read_config(file) if is_asked else None
    return [
        RootLocation("--data-root", line),
        RootLocation("WAVETWIN_DATA", variable),
        RootLocation(str(file), in_file, is_asked),
    ]


def find_data_root(
    argument: Path | None, environment: Mapping[str, str] | None = None
) -> Path | None:
    """Return the folder of the command line, else of the environment, else of the user's file.

    Raises:
        RunError: the user's file cannot be read or has a data_root that is not a text.
    """
    locations = root_locations(argument, environment)
    return next((location.root for location in locations if location.root is not None), None)


def need_root(dataset: str, root: Path | None) -> Path:
    """Return the data root.

    Raises:
        RunError: none is known.
    """
    if root is None:
        raise RunError(
            "data-root-unknown",
            f"no data root is known, and '{dataset}' is read from disk",
            ROOT_REMEDY,
        )
    return root


def _read_config(file: Path) -> Path | None:
    if not file.is_file():
        return None
    try:
        value = tomllib.loads(file.read_text(encoding="utf-8")).get("data_root")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RunError("bad-config", f"cannot be read: {error}", subject=file) from error
    if value is None:
        return None
    if not isinstance(value, str):
        raise RunError(
            "bad-config", f"says that data_root is {value!r}, not a path in quotes", subject=file
        )
    return Path(value).expanduser()
