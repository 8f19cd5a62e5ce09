"""Read the user's own settings, which are about a machine and never part of a spec."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.files.home import config_folder
from wavetwin.runtime.process.errors import RunError

__all__ = ["UserConfig", "config_file", "read_user_config"]


@dataclass(frozen=True, slots=True)
class UserConfig:
    """The settings of `~/.config/wavetwin/config.toml`; none where there is no such file."""

    file: Path
    values: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """Return a setting that is a text; None where it is not set.

        Raises:
            RunError: `bad-config`, it is something else.
        """
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self.refuse(f"says that {name} is {value!r}, not a text in quotes")

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a setting that is a list of texts; None where it is not set.

        Raises:
            RunError: `bad-config`, it is something else.
        """
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.refuse(f"says that {name} is {value!r}, not a list of texts in quotes")
        return tuple(value)

    def section(self, name: str) -> UserConfig:
        """Return the settings below a heading.

        Raises:
            RunError: `bad-config`, the name is that of a setting.
        """
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise self.refuse(f"says that {name} is {value!r}, not a heading [{name}]")
        return UserConfig(self.file, value)

    def refuse(self, text: str) -> RunError:
        """Return the fault of this file that a text names."""
        return RunError("bad-config", text, subject=self.file)


def config_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the user's settings are, whether they are there or not."""
    return config_folder(environment) / "config.toml"


def read_user_config(environment: Mapping[str, str] | None = None) -> UserConfig:
    """Return the user's settings.

    Raises:
        RunError: `bad-config`, the file is there and cannot be read.
    """
    file = config_file(environment)
    try:
        # Without a home, as in some containers, no file is there, and none of the current folder is.
        if not file.is_absolute() or not file.is_file():
            return UserConfig(file, {})
        return UserConfig(file, tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RunError("bad-config", f"cannot be read: {error}", subject=file) from error
