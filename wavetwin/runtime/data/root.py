"""Find the data root, where the user keeps the images; never part of a spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavetwin.files.home import expand_home
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.user_config import config_file, read_user_config

__all__ = [
    "ROOT_REMEDY",
    "RootLocation",
    "find_data_root",
    "need_root",
    "own_folder",
    "root_locations",
]

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
    line = None if argument is None else expand_home(argument)
    given = variables.get("WAVETWIN_DATA")
    variable = expand_home(given) if given else None
    is_asked = line is None and variable is None
    told = read_user_config(variables).text("data_root") if is_asked else None
    in_file = None if told is None else expand_home(told)
    return [
        RootLocation("--data-root", line),
        RootLocation("WAVETWIN_DATA", variable),
        RootLocation(str(config_file(variables)), in_file, is_asked),
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


def own_folder(data: DataPlan, root: Path | None) -> Path:
    """Return the folder of a user's own images.

    Raises:
        RunError: no data root is known, or the folder is not in it.
    """
    top = need_root(data.dataset, root)
    folder = top if data.folder is None else top / data.folder
    if data.folder is not None and not folder.is_dir():
        raise RunError("data-set-missing", "is not there", ROOT_REMEDY, subject=folder)
    return folder
