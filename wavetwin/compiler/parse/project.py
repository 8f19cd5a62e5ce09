"""Find projects and the specs in them: where a project starts, which files a command means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from wavetwin.compiler.parse.suggest import nearest
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.ir.sweeps import SWEEP_SUFFIX
from wavetwin.provenance.starters import PREFIX

OUTPUT_FOLDERS = frozenset({"generated", "runs"})
"""What builds and runs write into a project's root; it holds no specs to compile."""


def find_project(path: Path) -> Path:
    """Return the root of the project that a file or folder belongs to.

    The nearest ancestor with a `.wavetwin.toml`, a `pyproject.toml` that has a table
    `[tool.wavetwin]`, or a `.git`; without one, the folder itself or the file's folder.

    Raises:
        CompileError: `bad-project-file`, a pyproject.toml on the way up cannot be read.
    """
    start = path.absolute()
    # Of a name that no file system takes, pathlib's questions raise and these say no.
    if not os.path.isdir(start):  # noqa: PTH112
        start = start.parent
    for folder in (start, *start.parents):
        if (
            os.path.isfile(folder / ".wavetwin.toml")  # noqa: PTH113
            or os.path.exists(folder / ".git")  # noqa: PTH110
            or _names_wavetwin(folder / "pyproject.toml")
        ):
            return folder
    return start


def checked_project(project: Path, spec: Path) -> Path:
    """Return a project that the user named.

    Raises:
        CompileError: `bad-project`: it is no folder, or does not hold the spec.
    """
    root = real_path(project)
    if not os.path.isdir(project):  # noqa: PTH112
        headline = "the project named by --project is not a folder"
    elif not real_path(spec).is_relative_to(root):
        headline = f"the project named by --project does not hold {spec}"
    else:
        return project
    raise CompileError(
        [
            Diagnostic(
                "bad-project",
                headline,
                subject=str(project),
                help="name a folder that the spec lies in, or leave --project out",
            )
        ]
    )


def real_path(path: Path) -> Path:
    """Return a path with symbolic links resolved as far as they lead somewhere."""
    return Path(os.path.realpath(path))


def is_fragment(path: Path, root: Path) -> bool:
    """Return whether a file is only a part of specs: in a folder `base`, or below a leading `_`.

    Folders above `root` do not count.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links
    base = Path(os.path.abspath(root))  # noqa: PTH100
    parts = absolute.relative_to(base).parts if absolute.is_relative_to(base) else absolute.parts
    return "base" in parts[:-1] or any(part.startswith("_") for part in parts)


def expand_specs(paths: Iterable[Path]) -> list[Path]:
    """Return the spec files that a command's paths mean, each once, in the order given.

    A folder means its `**/*.yaml` in the order of their names, without fragments, sweeps, hidden
    folders and a project's outputs. A file means itself, a fragment too.

    Raises:
        CompileError: `file-not-found` or `no-specs`, one for each path that means nothing.
    """
    found: dict[Path, Path] = {}
    diagnostics: list[Diagnostic] = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112
            files = sorted(_walk(path), key=lambda file: file.relative_to(path).parts)
            if not files:
                diagnostics.append(
                    Diagnostic(
                        "no-specs",
                        "there is no spec in this folder",
                        subject=str(path),
                        help="specs end in .yaml; those in base/ or below a leading _ are parts",
                    )
                )
        elif os.path.isfile(path):  # noqa: PTH113
            files = [path]
        else:
            files = []
            diagnostics.append(spec_not_found(path, str(path)))
        for file in files:
            found.setdefault(real_path(file), file)
    if diagnostics:
        raise CompileError(diagnostics)
    return list(found.values())


def find_yaml(folder: Path) -> list[Path]:
    """Return every document of a folder, parts of specs and sweeps too, in the order of their names.

    Left out are hidden files and folders, and a project's outputs.

    Raises:
        CompileError: `file-unreadable`, a folder cannot be read.
    """
    return sorted(_walk(folder, takes_all=True), key=lambda file: file.relative_to(folder).parts)


def _walk(folder: Path, *, takes_all: bool = False) -> Iterator[Path]:
    left_out = (".",) if takes_all else (".", "_")
    skipped = OUTPUT_FOLDERS if find_project(folder) == folder.absolute() else frozenset[str]()
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(left_out)
            and (takes_all or name != "base")
            and name not in skipped
        ]
        skipped = frozenset[str]()
        for name in files:
            path = Path(parent) / name
            is_meant = takes_all or not name.endswith(SWEEP_SUFFIX)
            if (
                name.endswith(".yaml")
                and is_meant
                and not name.startswith(left_out)
                and path.is_file()
            ):
                yield path


def _refuse_folder(error: OSError) -> None:
    """Stop at a folder that cannot be read: whatever is in it would be left out silently."""
    raise CompileError(
        [
            Diagnostic(
                "file-unreadable",
                _reason(error),
                subject=str(error.filename),
                help="make the folder readable, or name the specs that are meant",
            )
        ]
    ) from error


def _reason(error: OSError) -> str:
    return error.strerror or "it cannot be read"


def _names_wavetwin(pyproject: Path) -> bool:
    if not os.path.isfile(pyproject):  # noqa: PTH113
        return False
    try:
        text = pyproject.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CompileError(
            [Diagnostic("bad-project-file", _reason(error), subject=str(pyproject))]
        ) from error
    if "wavetwin" not in text:
        return False
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CompileError(
            [Diagnostic("bad-project-file", str(error), subject=str(pyproject))]
        ) from error
    tool = document.get("tool")
    return isinstance(tool, dict) and "wavetwin" in tool


def spec_not_found(path: Path, shown: str) -> Diagnostic:
    """Return that a spec is missing, with the one beside it that was probably meant."""
    if shown.startswith(PREFIX):
        help_text = (
            "a starter is built by a spec that extends it: wavetwin new NAME --from " + shown
        )
        return Diagnostic("file-not-found", "this is no file", subject=shown, help=help_text)
    try:
        beside = sorted(file.name for file in path.parent.iterdir() if file.suffix == ".yaml")
    except OSError:
        beside = []  # of a folder that cannot be read there is nothing to offer
    name = nearest(path.name, beside)
    help_text = (
        "give the path of a spec, or of a folder of specs, seen from here"
        if name is None
        else f"did you mean '{PurePosixPath(shown).with_name(name)}'?"
    )
    return Diagnostic("file-not-found", "there is no such file", subject=shown, help=help_text)
