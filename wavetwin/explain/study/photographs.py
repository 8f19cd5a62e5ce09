"""Read the photographs of a study that is given none: windows of those that packages bring.

`photographs.json` names them: file, SHA-256, and the windows' corners. Nothing is downloaded, so the
figures of docs/studies.md can be made again anywhere.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from wavetwin.explain.study.images import ImageSource
from wavetwin.provenance.package import sha256_of
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.packages import package_error

__all__ = ["SIDE", "bundled_photographs", "find_photograph"]

SIDE = 240
"""Pixels of a window in both directions: an image of 224 and 8 around it to move in."""
_LIST = Path(__file__).with_name("photographs.json")


def bundled_photographs() -> list[ImageSource]:
    """Return the 28 named windows, in the list's order.

    Raises:
        RunError: a package is not installed, or brings another file than the list's.
    """
    document = _document()
    sources: list[ImageSource] = []
    for entry in document["photographs"]:
        file = find_photograph(entry["package"], entry["file"])
        if sha256_of(file.read_bytes()) != entry["sha256"]:
            raise RunError(
                "data-set-not-official",
                "is not the photograph that the studies' list names: its SHA-256 differs",
                "install the packages of constraints.txt, or name your own images with --images",
                subject=file,
            )
        sources += [
            ImageSource(f"{file.stem}-{number}", file, (top, left, SIDE))
            for number, (top, left) in enumerate(entry["corners"], start=1)
        ]
    return sources


def _document() -> dict[str, Any]:
    return json.loads(_LIST.read_text(encoding="utf-8"))


def find_photograph(package_name: str, name: str) -> Path:
    """Return the file of a photograph of an installed package, without importing it.

    Args:
        package_name: `scikit-image` or `scikit-learn`.
        name: of the file.

    Raises:
        RunError: the package, or the file in it, is not there.
    """
    package: dict[str, str] = _document()["packages"][package_name]
    spec = importlib.util.find_spec(package["module"])
    if spec is None:
        raise package_error(
            package["module"], f"the photograph {name}", "name your own images with --images"
        )
    for folder in spec.submodule_search_locations or ():
        file = Path(folder, package["folder"], name)
        if file.is_file():
            return file
    raise RunError(
        "package-missing",
        f"the photograph {name} is not in {package_name} as it is installed",
        "install the whole package again, or name your own images with --images",
    )
