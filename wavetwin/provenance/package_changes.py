"""Find the files of wavetwin that are not those that a folder was built with.

A manifest has one digest for the whole package. Where that differs, the list of its files is found
again: the commit's own, with the build's patch; HEAD's; an installed wheel's; a standalone folder's.
A list counts only if its digest is the recorded one, so that no name is guessed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavetwin.diagnostics import CompileError
from wavetwin.provenance.git_command import run_git
from wavetwin.provenance.git_state import GitState, Repository
from wavetwin.provenance.package import (
    Package,
    digest_of,
    imported_package,
    is_package_file,
    sha256_of,
)

__all__ = ["changed_paths", "package_changes"]

_SHOWN_DIGITS = 12


def package_changes(
    package: Package, built: Mapping[str, Any], folder: Path, listed: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the files that differ; where no list can be found again, one entry with both digests.

    Args:
        package: the wavetwin that is here.
        built: the source of the manifest that says what the folder was built with.
        folder: the built folder, which may have a patch.
        listed: SHA-256 by path, as the manifest has them: the files of a standalone folder.
    """
    digest: str = built["package_digest"]
    if package.digest == digest:
        return ()
    for files in _candidates(package, built, folder, listed):
        if digest_of(files) == digest:
            return changed_paths(files, package.sha256)
    here, there = package.digest[:_SHOWN_DIGITS], digest[:_SHOWN_DIGITS]
    return (f"wavetwin (its digest is {here}, at the build it was {there})",)


def changed_paths(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths whose digests differ, or that only one side has, sorted."""
    return tuple(sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)))


def _candidates(
    package: Package, built: Mapping[str, Any], folder: Path, listed: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """Yield what the package may have been, SHA-256 by logical path; the likeliest first."""
    yield {name: digest for name, digest in listed.items() if is_package_file(name)}
    yield package.installed
    yield imported_package().sha256
    try:
        repository = GitState().repository(package.root)
        if repository is None:
            return
        commits = dict.fromkeys((built.get("commit") or repository.commit, repository.commit))
        for commit in commits:
            yield _files_at(repository, commit, package, None)
            if built.get("patch"):
                yield _files_at(repository, commit, package, folder / built["patch"])
    except (CompileError, OSError):
        # Without git, or a commit that is not here, nothing is named but the digests.
        return


def _files_at(
    repository: Repository, commit: str, package: Package, patch: Path | None
) -> dict[str, str]:
    """Return the package's files in a commit's tree, with a patch on top of it."""
    root = repository.root
    folders = {
        folder.relative_to(root).as_posix(): logical
        for folder, logical in (
            (package.root.resolve(), "wavetwin"),
            (package.templates.resolve(), "wavetwin/templates"),
        )
    }
    listing = run_git(root, ["ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders])
    names: dict[str, str] = {}
    for line in listing.split(b"\0")[:-1]:
        info, _, name = line.partition(b"\t")
        names[name.decode("utf-8", "surrogateescape")] = info.split()[2].decode("ascii")
    contents = _read_objects(root, list(names.values()))
    with tempfile.TemporaryDirectory(prefix="wavetwin-") as temporary:
        tree = Path(temporary)
        for name, content in zip(names, contents, strict=True):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
        if patch is not None:
            shutil.copy(patch, tree / ".patch")
            only = [f"--include={folder}/*" for folder in folders]
            run_git(tree, ["apply", "--whitespace=nowarn", *only, ".patch"])
        found = {
            f"{logical}/{path.relative_to(tree / folder).as_posix()}": sha256_of(path.read_bytes())
            for folder, logical in folders.items()
            for path in (tree / folder).rglob("*")
            if path.is_file()
        }
    return {name: digest for name, digest in found.items() if is_package_file(name)}


def _read_objects(root: Path, ids: list[str]) -> Iterator[bytes]:
    """Yield the contents of objects, from one process of git."""
    output = run_git(root, ["cat-file", "--batch"], "".join(f"{each}\n" for each in ids).encode())
    start = 0
    for _ in ids:
        end = output.index(b"\n", start)
        size = int(output[start:end].split()[2])
        yield output[end + 1 : end + 1 + size]
        start = end + 2 + size
