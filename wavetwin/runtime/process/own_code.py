"""Load code of a user's project from contents that were compared, and tell its faults from ours.

Files become modules of a package of their own, `project.own.pooling` of `own/pooling.py`, so that no name
of theirs takes the place of another module. Their text is run: no byte code, and no file that was not
recorded. Relative imports find the files that are there; others are Python's own.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from wavetwin.files.json_text import parse_json
from wavetwin.ir.own_code import FOLDER, imported_packages, module_name
from wavetwin.provenance.package import read_manifest
from wavetwin.runtime.process.errors import RunError

__all__ = [
    "CodeLocation",
    "exception_text",
    "install_copies",
    "install_sources",
    "load_named",
    "locate_fault",
    "own_code_error",
]

_INIT = "__init__.py"
_MAX_MESSAGE = 300
_LEAD_TO_TORCHVISION = frozenset({"torchvision", "torchmetrics"})
"""Packages that are, or import, torchvision, which some environments import by `import_torchvision` alone."""


class _Loader(SourceLoader):
    """Runs one file's contents."""

    def __init__(self, file: str, content: bytes) -> None:
        self._file, self._content = file, content

    def get_filename(self, fullname: str) -> str:
        return self._file

    def get_data(self, path: str | bytes) -> bytes:
        return self._content

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        if _LEAD_TO_TORCHVISION & imported_packages(self._content):
            # torch is imported by it, too.
            from wavetwin.runtime.process.torchvision_compat import import_torchvision

            with suppress(
                ImportError
            ):  # torchmetrics does without it; the file's import says the rest
                import_torchvision()
        return code


class _Finder(MetaPathFinder):
    """Finds the modules of one package among files."""

    def __init__(self, package: str, files: Mapping[str, bytes], folder: Path) -> None:
        self.package, self.files, self.folder = package, files, folder

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how a module is loaded; a folder without `__init__.py` is a package without contents."""
        root, *parts = fullname.split(".")
        if root != self.package:
            return None
        name = "/".join(parts)
        below = f"{name}/" if parts else ""
        for file in (f"{name}.py", f"{below}{_INIT}") if parts else ():
            if file in self.files:
                loader = _Loader(str(self.folder / file), self.files[file])
                return spec_from_loader(fullname, loader, is_package=file.endswith(f"/{_INIT}"))
        if not any(file.startswith(below) for file in self.files):
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = []
        return spec


def install_sources(
    files: Mapping[str, bytes], folder: Path = Path(FOLDER), package: str = FOLDER
) -> None:
    """Let modules of a package be loaded from these contents alone.

    What was loaded of the package before is forgotten.

    Args:
        files: contents by path below the folder.
        folder: what tracebacks and `inspect` take the files' paths from.
        package: its name.
    """
    sys.meta_path[:] = [
        each
        for each in sys.meta_path
        if not (isinstance(each, _Finder) and each.package == package)
    ]
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(package, dict(files), folder))


def install_copies(folder: Path) -> None:
    """Let `project` be loaded from the copies that a built folder's manifest lists, if any.

    Call it once the folder is compared with its manifest.
    """
    copies = folder / FOLDER
    if not copies.is_dir():
        return
    _, manifest = read_manifest(folder)
    below = f"{FOLDER}/"
    names = [name.removeprefix(below) for name in manifest["files"] if name.startswith(below)]
    install_sources({name: (copies / name).read_bytes() for name in names}, copies)


def load_named(file: str, name: str, package: str = FOLDER) -> Any:
    """Return a class or a function of a file of an installed package.

    Raises:
        AttributeError: the file has no such name; and whatever its code raises.
    """
    return getattr(importlib.import_module(f"{package}.{module_name(file)}"), name)


class CodeLocation:
    """Where in a project's code an exception came from."""

    def __init__(self, file: str, line: int, function: str, text: str, folder: Path) -> None:
        self.file, self.line, self.function, self.text = file, line, function, text
        self.folder = folder
        """What the file's path is relative to."""
        self.is_innermost = True
        """Whether it raised the exception itself."""

    def __str__(self) -> str:
        shown = f": {self.text}" if self.text else ""
        return f"{self.file}:{self.line}, in {self.function}{shown}"


def locate_fault(error: BaseException) -> CodeLocation | None:
    """Return the last line of a traceback that is of an installed project; None where none is."""
    found: CodeLocation | None = None
    if isinstance(error, SyntaxError) and error.filename is not None:
        found = _location(error.filename, error.lineno or 1, "<module>", error.text or "")
    frames: TracebackType | None = error.__traceback__
    for frame, line in traceback.walk_tb(frames):
        here = _location(frame.f_code.co_filename, line, frame.f_code.co_name, None)
        if found is not None:
            found.is_innermost = False
        found = here or found
    return found


def _location(filename: str, line: int, function: str, text: str | None) -> CodeLocation | None:
    for finder in sys.meta_path:
        if not isinstance(finder, _Finder):
            continue
        for file, content in finder.files.items():
            if str(finder.folder / file) == filename:
                if text is None:
                    lines = content.decode("utf-8", "replace").splitlines()
                    text = lines[line - 1] if 0 < line <= len(lines) else ""
                return CodeLocation(
                    file, line, function, " ".join(text.split())[:120], finder.folder
                )
    return None


def exception_text(error: BaseException) -> str:
    """Return an exception's class and message on one line, cut where it is long."""
    text = "".join(char if char.isprintable() else " " for char in str(error))
    text = " ".join(text.split())
    if len(text) > _MAX_MESSAGE:
        text = f"{text[: _MAX_MESSAGE - 4]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def own_code_error(error: BaseException) -> RunError | None:
    """Return an exception that code of a project led to as a fault of that; None for any other one.

    It names the line of the spec that the code is there for, where the built folder's graph has it.
    """
    at = locate_fault(error)
    if at is None:
        return None
    lines = _spec_lines(at)
    return RunError(
        "own-code-failed",
        f"raises {exception_text(error)}",
        subject=at.file,
        notes=[f"raised at: {at}", *([f"from: {', '.join(lines)}"] if lines else [])],
    )


def _spec_lines(at: CodeLocation) -> list[str]:
    """Return the lines of specs that the modules of a file are there for."""
    try:
        nodes = parse_json((at.folder.parent / "graph.json").read_bytes())["nodes"]
        found = [
            line
            for node in nodes
            if node["attributes"].get("file") == at.file
            for line in node["origin"]
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []  # the message is whole without them
    return list(dict.fromkeys(found))
