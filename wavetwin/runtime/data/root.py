"""The data root: where the user keeps the images; never part of a spec."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from wavetwin.runtime.errors import RunError

__all__ = ["ROOT_REMEDY", "find_data_root"]

ROOT_REMEDY = (
    "say where the data lie with --data-root, the environment variable WAVETWIN_DATA, or "
    "data_root in ~/.config/wavetwin/config.toml"
)


def find_data_root(
    argument: Path | None, environment: Mapping[str, str] | None = None
) -> Path | None:
    """Return the folder of the command line, else of the environment, else of the user's file.

    Raises:
        RunError: the user's file cannot be read or has a data_root that is not a text.
    """
    variables = os.environ if environment is None else environment
    if argument is not None:
        return argument.expanduser()
    if variables.get("WAVETWIN_DATA"):
        return Path(variables["WAVETWIN_DATA"]).expanduser()
    base = variables.get("XDG_CONFIG_HOME")
    folder = Path(base) if base else Path("~/.config").expanduser()
    file = folder / "wavetwin" / "config.toml"
    if not file.is_file():
        return None
    try:
        value = tomllib.loads(file.read_text(encoding="utf-8")).get("data_root")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    if value is None:
        return None
    if not isinstance(value, str):
        raise RunError(f"{file}: data_root is {value!r}, not a path in quotes")
    return Path(value).expanduser()
