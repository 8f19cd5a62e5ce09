"""Write a build into its folder, and tell whether a folder still is what its spec says.

Files that a person changed are never overwritten or removed without being asked (decisions.md 12);
the folder's own manifest says what was written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wavetwin.compiler.card import folder_name
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render import MANIFEST, MANIFEST_VERSION, render
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.package import Package, sha256_of
from wavetwin.provenance import changed_paths, recorded_provenance


@dataclass(frozen=True, slots=True)
class Written:
    """What writing a build changed."""

    folder: Path
    manifest_sha256: str
    written: tuple[str, ...]
    """Files that are new or have new contents."""
    removed: tuple[str, ...]
    """Files of the build before that this one does not have."""


@dataclass(frozen=True, slots=True)
class BuildCheck:
    """What `build --check` finds of one folder."""

    folder: Path
    lines: tuple[str, ...]
    up_to_date: bool


def build_folder(compiled: Compiled, out: Path | None = None) -> Path:
    """Return where an experiment is built: in the project's `generated`, or in `out`."""
    return (out or compiled.project / "generated") / folder_name(compiled)


def write_build(files: Mapping[str, bytes], folder: Path, force: bool = False) -> Written:
    """Write what `render` returned; a reader sees each file old or new, never in part.

    The manifest is written last: a build that was interrupted is finished by building again.

    Raises:
        CompileError: `hand-edited`, naming the files, unless `force`; or `cannot-write`.
    """
    try:
        edits = [] if force else find_edits(files, folder)
        if edits:
            raise CompileError(edits)
        left_over = [name for name in sorted(_recorded_files(folder)) if name not in files]
        return _write(files, folder, left_over)
    except OSError as error:
        raise CompileError([_cannot_write(error, folder)]) from error


def find_edits(files: Mapping[str, bytes], folder: Path) -> list[Diagnostic]:
    """Return `hand-edited` where `files` would overwrite or remove what a person changed."""
    recorded = _recorded_files(folder)
    edited = [
        name
        for name in sorted(recorded.keys() | files.keys())
        if (content := _read(folder / name)) is not None
        and content != files.get(name)
        and (sha256_of(content) != recorded.get(name))
        and not (name == MANIFEST and recorded)
    ]
    return [_hand_edited(folder, edited)] if edited else []


def check_build(compiled: Compiled, folder: Path, package: Package | None = None) -> BuildCheck:
    """Compare a folder with what a build of now would give at the recorded commit.

    Git is not asked: a commit that changed none of the inputs leaves a build up to date.
    """
    content = _read(folder / MANIFEST)
    if content is None:
        return BuildCheck(folder, ("missing: it was not built yet",), False)
    manifest = _parse(content)
    if manifest is None:
        return BuildCheck(folder, (f"edited by hand: {MANIFEST}",), False)
    files = compiled.files
    try:
        provenance = recorded_provenance(manifest, folder, files, compiled.project, package)
        stale = [
            name
            for role in ("spec", "wavetwin")
            for name in changed_paths(manifest["inputs"][role], provenance.inputs[role])
        ]
        recorded: dict[str, str] = dict(manifest["files"])
    except (LookupError, TypeError, AttributeError):
        return BuildCheck(folder, (f"edited by hand: {MANIFEST}",), False)
    rendered = render(compiled, provenance, package.templates if package is not None else None)
    lines = [f"stale: {name} changed" for name in stale]
    for name, new in rendered.items():
        if name == MANIFEST:
            continue
        old = _read(folder / name)
        if old is None:
            lines.append(f"missing: {name}")
        elif sha256_of(old) != recorded.get(name):
            lines.append(f"edited by hand: {name}")
        elif old != new and not stale:
            lines.append(f"stale: {name} would be another")
    lines += [
        f"missing: {name}" if not (folder / name).exists() else f"left over: {name}"
        for name in sorted(recorded)
        if name not in rendered
    ]
    if not lines and content != rendered[MANIFEST]:
        lines.append(f"edited by hand: {MANIFEST}")
    return BuildCheck(folder, tuple(lines) or ("up to date",), not lines)


def _write(files: Mapping[str, bytes], folder: Path, left_over: list[str]) -> Written:
    changed = [name for name, content in files.items() if _read(folder / name) != content]
    folder.mkdir(parents=True, exist_ok=True)
    temporary = {name: folder / f".{name}.{os.getpid()}.tmp" for name in changed}
    try:
        for name, path in temporary.items():
            path.write_bytes(files[name])
        for name, path in temporary.items():
            if name != MANIFEST:
                path.replace(folder / name)
        removed = [name for name in left_over if (folder / name).is_file()]
        for name in removed:
            (folder / name).unlink()
        if MANIFEST in temporary:
            temporary[MANIFEST].replace(folder / MANIFEST)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return Written(folder, sha256_of(files[MANIFEST]), tuple(changed), tuple(removed))


def _hand_edited(folder: Path, names: list[str]) -> Diagnostic:
    noun = "a file is" if len(names) == 1 else f"{len(names)} files are"
    return Diagnostic(
        code="hand-edited",
        headline=f"{noun} not as the last build wrote them, and would be overwritten",
        subject=str(folder),
        notes=(f"files: {', '.join(names)}",),
        help="keep them under another name, or build with --force, which overwrites them",
    )


def _cannot_write(error: OSError, path: Path) -> Diagnostic:
    message = f"{error.strerror or error}: {error.filename or path}"
    return Diagnostic("cannot-write", message, subject=str(path))


def _recorded_files(folder: Path) -> dict[str, str]:
    """Return the digests by the folder's manifest; none where there is no usable manifest."""
    content = _read(folder / MANIFEST)
    manifest = None if content is None else _parse(content)
    listed = None if manifest is None else manifest.get("files")
    if not isinstance(listed, dict):
        return {}
    files = cast("dict[str, object]", listed)
    # Names are never taken as paths: an edited manifest must not point out of the folder.
    return {name: str(digest) for name, digest in files.items() if Path(name).name == name}


def _parse(content: bytes) -> dict[str, Any] | None:
    """Return a manifest of this version; None where it is something else."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    manifest = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    return manifest if manifest.get("wavetwin_manifest") == MANIFEST_VERSION else None


def _read(path: Path) -> bytes | None:
    """Return a file's contents; None where there is none.

    Raises:
        CompileError: `cannot-write`: there is something else in its place.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CompileError([_cannot_write(error, path)]) from error
