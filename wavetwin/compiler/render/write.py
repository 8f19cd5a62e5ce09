"""Write a build into its folder, and check whether a folder still is what its spec says.

Files that a person changed are never overwritten or removed without being asked;
the folder's own manifest says what was written. Files may lie in subfolders (a standalone copy);
nothing is written or removed outside the folder, nor through a link in it.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.card import folder_name
from wavetwin.compiler.render.files import MANIFEST, MANIFEST_VERSION, render
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.diagnostics.listing import list_some
from wavetwin.files.atomic import remove_abandoned, staged
from wavetwin.files.json_text import parse_json
from wavetwin.ir.frozen import frozen
from wavetwin.provenance.package import Package, imported_package, is_inside, sha256_of
from wavetwin.provenance.package_changes import changed_paths, package_changes
from wavetwin.provenance.record import STANDALONE, recorded_provenance


@frozen
class Written:
    """What writing a build changed."""

    folder: Path
    manifest_sha256: str
    written: tuple[str, ...]
    """Files that are new or have new contents."""
    removed: tuple[str, ...]
    """Files of the build before that this one does not have."""
    kept: tuple[str, ...] = ()
    """Names under which files that were edited by hand are kept."""


@frozen
class Unchanged:
    """A folder that is what a build would write."""

    files: tuple[str, ...]
    manifest_sha256: str


@frozen
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
        links = _find_links(files, folder)
        if links:
            raise CompileError(links)
        edited = _edited_files(files, folder)
        if edited and not force:
            raise CompileError([_hand_edited(folder, list(edited))])
        left_over = [name for name in sorted(_recorded_files(folder)) if name not in files]
        return _write(files, folder, left_over, edited)
    except OSError as error:
        raise CompileError([_cannot_write(error, folder)]) from error


def clean_folder(folder: Path) -> None:
    """Remove the temporary files that killed builds left in a built folder, and no others'."""
    for path in (folder, *_subfolders(_recorded_files(folder), folder)):
        remove_abandoned(path)


def find_edits(files: Mapping[str, bytes], folder: Path) -> list[Diagnostic]:
    """Return `hand-edited` where `files` would overwrite or remove what a person changed.

    Also `cannot-write`, where a subfolder is a link to somewhere else.
    """
    links = _find_links(files, folder)
    if links:
        return links
    edited = list(_edited_files(files, folder))
    return [_hand_edited(folder, edited)] if edited else []


def _edited_files(files: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """Return the contents of the files that a person changed and a build would replace or remove."""
    recorded = _recorded_files(folder)
    return {
        name: content
        for name in sorted(recorded.keys() | files.keys())
        if (content := _read(folder / name)) is not None
        and content != files.get(name)
        and (sha256_of(content) != recorded.get(name))
        and not (name == MANIFEST and recorded)
    }


def _aside(name: str, content: bytes) -> str:
    """Return the name that an edited file is kept under: of its contents, so that none is lost."""
    return f"{name}.edited-{sha256_of(content)[:8]}"


def find_unchanged(head: Mapping[str, Any], folder: Path) -> Unchanged | None:
    """Return what a folder holds if a build with this manifest head wrote it and nothing changed since.

    What is rendered follows from the head (`render.manifest_head`): such a folder need not be rendered
    again. None where anything differs, and where inputs are dirty, whose patch the head does not hold.
    """
    content = _read(folder / MANIFEST)
    manifest = None if content is None else _parse(content)
    if content is None or manifest is None or head["dirty"]:
        return None
    files = manifest.pop("files", None)
    if manifest != head or not isinstance(files, dict) or not files:
        return None
    digests = cast("dict[str, object]", files)
    if not all(map(is_inside, digests)) or _find_links(digests, folder):
        return None
    for name, digest in digests.items():
        found = _read(folder / name)
        if found is None or sha256_of(found) != digest:
            return None
    return Unchanged((*digests, MANIFEST), sha256_of(content))


def check_build(
    compiled: Compiled,
    folder: Path,
    package: Package | None = None,
    standalone: bool = False,
) -> BuildCheck:
    """Compare a folder with what a build of now would give at the recorded commit.

    Git is not asked: a commit that changed none of the inputs leaves a build up to date. A folder
    that was built standalone is compared as such; `standalone` asks for one where it was not.
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
        recorded: dict[str, str] = dict(manifest["files"])
        changed = [
            name
            for role in ("spec", "wavetwin")
            for name in changed_paths(manifest["inputs"][role], provenance.inputs[role])
        ]
        built = next(entry for entry in manifest["sources"] if entry["role"] == "wavetwin")
        changed += package_changes(package or imported_package(), built, folder, {})
        stale = [f"{name} changed" for name in changed]
        stale += _other_passes(manifest, compiled)
        standalone |= any(entry["role"] == STANDALONE for entry in manifest["sources"])
    except (LookupError, TypeError, AttributeError):
        return BuildCheck(folder, (f"edited by hand: {MANIFEST}",), False)
    package = package or imported_package()
    rendered = render(
        compiled, provenance, package.templates, standalone=package if standalone else None
    )
    lines = [f"stale: {reason}" for reason in stale]
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


def _other_passes(manifest: Mapping[str, Any], compiled: Compiled) -> list[str]:
    had_passes = bool(manifest.get("passes", True))
    if had_passes == bool(compiled.optimised_graph.passes):
        return []
    return [f"built {'without' if had_passes else 'with'} --no-passes"]


def _write(
    files: Mapping[str, bytes], folder: Path, left_over: list[str], edited: Mapping[str, bytes]
) -> Written:
    changed = [name for name, content in files.items() if _read(folder / name) != content]
    folder.mkdir(parents=True, exist_ok=True)
    kept = {_aside(name, content): content for name, content in edited.items()}
    contents = kept | {name: files[name] for name in changed}
    with staged({folder / name: content for name, content in contents.items()}) as put:
        for name in (*kept, *changed):
            if name != MANIFEST:
                put(folder / name)
        removed = [name for name in left_over if (folder / name).is_file()]
        for name in removed:
            (folder / name).unlink()
        _remove_empty_folders(removed, folder)
        if MANIFEST in changed:
            put(folder / MANIFEST)
    return Written(folder, sha256_of(files[MANIFEST]), tuple(changed), tuple(removed), tuple(kept))


def _hand_edited(folder: Path, names: list[str]) -> Diagnostic:
    noun = "a file is" if len(names) == 1 else f"{len(names)} files are"
    return Diagnostic(
        code="hand-edited",
        headline=f"{noun} not as the last build wrote them, and would be overwritten",
        subject=str(folder),
        notes=(f"files: {list_some(names)}",),
        help="build with --force, which keeps them as NAME.edited-<digest> and writes new ones",
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
    # An edited manifest must not point out of the folder, nor a link.
    return {
        name: str(digest)
        for name, digest in files.items()
        if is_inside(name) and not any(path.is_symlink() for path in _subfolders([name], folder))
    }


def _subfolders(names: Iterable[str], folder: Path) -> list[Path]:
    """Return the folders below `folder` that files of these names lie in, the outermost first."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents}
    return [folder / parent for parent in sorted(parents) if parent.parts]


def _find_links(files: Iterable[str], folder: Path) -> list[Diagnostic]:
    return [
        Diagnostic(
            "cannot-write",
            "this is a link, and nothing is written through it",
            subject=str(path),
            help="remove the link, and build again",
        )
        for path in _subfolders(files, folder)
        if path.is_symlink()
    ]


def _remove_empty_folders(removed: Iterable[str], folder: Path) -> None:
    """Remove the folders that files were removed from, where only byte code of theirs is left."""
    for path in reversed(_subfolders(removed, folder)):
        cache = path / "__pycache__"
        for compiled in cache.glob("*.pyc"):
            source = path / f"{compiled.name.split('.', 1)[0]}.py"
            if not source.exists():
                compiled.unlink()
        for empty in (cache, path):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()


def _parse(content: bytes) -> dict[str, Any] | None:
    """Return a manifest of this version; None where it is something else."""
    try:
        parsed = parse_json(content)
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
        if stat.S_ISREG(path.stat().st_mode):
            return path.read_bytes()
        # A pipe or a device would be waited for.
        raise OSError(errno.EINVAL, "this is no file", str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CompileError([_cannot_write(error, path)]) from error
