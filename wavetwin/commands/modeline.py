"""Write the comment by which an editor finds the schema of a spec that a command writes."""

from __future__ import annotations

import os
from pathlib import Path

from wavetwin.compiler.validate.json_schema import FILE

__all__ = ["modeline"]

_PLACES = (FILE, f"wavetwin/{FILE}")
"""Below a project's root: as `wavetwin init` writes it, and in wavetwin's own repository."""


def modeline(file: Path, project: Path) -> str:
    """Return the line with its end; empty where the project has no schema.

    Args:
        file: the spec that is written.
        project: its root.
    """
    place = next((project / name for name in _PLACES if (project / name).is_file()), None)
    if place is None:
        return ""
    relative = os.path.relpath(place, Path(os.path.abspath(file)).parent)  # noqa: PTH100  links stay
    return f"# yaml-language-server: $schema={Path(relative).as_posix()}\n"
