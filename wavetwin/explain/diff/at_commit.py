"""Read a spec at a commit: the file and all its parents as the commit's tree has them."""

from __future__ import annotations

import ast
import os
import posixpath
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.project import find_project, real_path
from wavetwin.compiler.parse.tree import SpecNode, parse_bytes
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.source import refused
from wavetwin.ir.own_code import imported_files
from wavetwin.provenance.git_command import object_is_missing, run_git

_LINK = "120000"
_WITHOUT = "without --at, two files are compared"
_MAX_FILES = 256
"""Files and links that one spec may need; no spec has as many parents."""


@dataclass(frozen=True)
class CommitSpec:
    """A spec compiled as it was."""

    compiled: Compiled
    commit: str
    """Full hash."""


def compile_at(
    spec: Path, revision: str, overrides: tuple[str, ...], project: Path | None
) -> CommitSpec:
    """Compile a spec as it was at a commit, by the language of today.

    The project is the work tree's, in its place at the commit. Nothing is written but to a folder
    for temporary files, and nothing is checked out.

    Raises:
        CompileError: `not-a-repository`, `unknown-commit`, `spec-not-at-commit`, or what is wrong
            with the spec at that commit, which the diagnostics then name.
    """
    path = Path(os.path.abspath(spec))  # noqa: PTH100  resolve() would follow links
    root = _repository_root(path)
    home = find_project(path) if project is None else project.absolute()
    commit = _find_commit(root, revision, str(spec))
    name = real_path(path.parent).relative_to(real_path(root)).as_posix()
    name = posixpath.normpath(f"{name}/{path.name}")
    with tempfile.TemporaryDirectory(prefix="wavetwin-") as folder:
        copy = Path(folder)
        inside = _relative(home, root)
        _copy_closure(root, commit, name, copy, inside)
        if not (copy / name).is_file():
            raise refused(
                "spec-not-at-commit",
                f"there is no such spec at {revision} ({commit[:8]})",
                str(spec),
                f"`git log --oneline -- {shlex.quote(str(spec))}` shows the commits that have it",
            )
        location = copy / inside
        location.mkdir(parents=True, exist_ok=True)
        try:
            compiled = compile_spec(copy / name, overrides, location)
        except CompileError as error:
            note = f"at: {revision} ({commit[:8]}), by the language of this wavetwin"
            raise CompileError(
                [replace(each, notes=(*each.notes, note)) for each in error.diagnostics]
            ) from error
    return CommitSpec(compiled, commit)


def _relative(home: Path, root: Path) -> str:
    """Return where a project lies in its repository; the root where it is around it."""
    location, top = real_path(home), real_path(root)
    return location.relative_to(top).as_posix() if location.is_relative_to(top) else "."


def _repository_root(path: Path) -> Path:
    for folder in path.parents:
        if (folder / ".git").exists():
            return folder
    raise refused(
        "not-a-repository",
        "the spec is in no git repository, so that it has no commits",
        str(path),
        "leave --at out and name two files instead",
    )


def _find_commit(root: Path, revision: str, spec: str) -> str:
    """Return the full hash of the commit that a revision names.

    Raises:
        CompileError: `unknown-commit`, or `git-failed`.
    """
    name = f"{revision}^{{commit}}"
    command = ["rev-parse", "--verify", "--quiet", "--end-of-options", name]
    found = run_git(root, command, codes=(0, 1), without=_WITHOUT).decode("ascii").strip()
    if found:
        return found
    if run_git(root, ["rev-parse", "--is-shallow-repository"], without=_WITHOUT).strip() == b"true":
        headline = (
            f"the repository has no commit '{revision}'; it is shallow: its history is cut off"
        )
        remedy = f"git -C {shlex.quote(str(root))} fetch --unshallow brings the history"
    else:
        headline = f"the repository has no commit '{revision}'"
        remedy = "name a hash, a branch, a tag, or a commit before one, such as HEAD~3"
    raise refused("unknown-commit", headline, spec, remedy)


def _copy_closure(root: Path, commit: str, name: str, copy: Path, project: str) -> None:
    """Write a file of a commit, and the files that it extends, names or links to, below a folder.

    What the commit does not have is left out: composing then reports it at its location. `project` is
    the project's folder in the repository, which own code is named from.
    """
    wanted, seen = {name}, set[str]()
    while wanted and len(seen) < _MAX_FILES:
        new = sorted(each for each in wanted - seen if _is_inside(each))
        seen.update(new)
        wanted = set[str]()
        for path, mode, data in _read_files(root, commit, new):
            target, folder = copy / path, posixpath.dirname(path)
            aims = [os.fsdecode(data)] if mode == _LINK else _parents(data, path)
            leads_to = {posixpath.normpath(posixpath.join(folder, aim)) for aim in aims}
            if mode != _LINK:
                own = _own_code(data, path, posixpath.relpath(path, project))
                leads_to |= {posixpath.normpath(posixpath.join(project, aim)) for aim in own}
            target.parent.mkdir(parents=True, exist_ok=True)
            # A forged tree may hold a link and, below its name, files: none goes through it.
            if not real_path(target.parent).is_relative_to(real_path(copy)):
                continue
            if mode != _LINK:
                target.write_bytes(data)
            elif all(_is_inside(aim) for aim in leads_to):
                target.symlink_to(aims[0])
            wanted |= leads_to


def _is_inside(name: str) -> bool:
    """Return whether a normalised path of a tree stays in it."""
    return name != ".." and not name.startswith("../") and not posixpath.isabs(name)


def _read_files(root: Path, commit: str, names: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield path, mode and contents of those paths that are files or links at a commit."""
    if not names:
        return
    command = ["ls-tree", "-z", "--full-tree", commit, "--", *names]
    listing = run_git(root, command, without=_WITHOUT, commit=commit)
    found: list[tuple[str, str, str]] = []
    for line in listing.split(b"\0")[:-1]:
        info, _, name = line.partition(b"\t")
        mode, kind, oid = info.decode("ascii").split(" ")
        if kind == "blob":
            found.append((os.fsdecode(name), mode, oid))
    if not found:
        return
    # The bytes as they are stored: `--batch` applies no filter.
    oids = "".join(f"{oid}\n" for *_, oid in found).encode()
    answer = run_git(root, ["cat-file", "--batch"], oids, without=_WITHOUT, commit=commit)
    start = 0
    for name, mode, _ in found:
        heading, start = _line(answer, start)
        if heading.endswith(b" missing"):
            raise object_is_missing(root, heading.split(b" ")[0].decode(), commit, _WITHOUT)
        size = int(heading.rpartition(b" ")[2])
        yield name, mode, answer[start : start + size]
        start += size + 1


def _line(answer: bytes, start: int) -> tuple[bytes, int]:
    """Return the line that begins at a position, and where the next one begins."""
    stop = answer.index(b"\n", start)
    return answer[start:stop], stop + 1


def _own_code(data: bytes, path: str, name: str) -> set[str]:
    """Return what a spec names of own code, or what such a file imports, from the project's root."""
    if not path.endswith(".py"):
        tree = parse_bytes(data, path).tree
        return set() if tree is None else set(_named_files(tree))
    try:
        return {found for found, _ in imported_files(name, ast.parse(data))}
    except (SyntaxError, ValueError, RecursionError):
        return set()


def _named_files(node: SpecNode) -> Iterator[str]:
    """Yield the texts of a spec's fields `file`."""
    if isinstance(node.value, list):
        for item in node.value:
            yield from _named_files(item)
    elif isinstance(node.value, dict):
        for key, item in node.value.items():
            if key == "file" and isinstance(item.value, str):
                yield item.value
            else:
                yield from _named_files(item)


def _parents(data: bytes, name: str) -> list[str]:
    """Return the texts of a spec's `extends`, whatever else is wrong with it."""
    if name.endswith(".py"):
        return []
    tree = parse_bytes(data, name).tree
    node = tree.value.get("extends") if tree is not None and isinstance(tree.value, dict) else None
    if node is None:
        return []
    entries = node.value if isinstance(node.value, list) else [node]
    return [entry.value for entry in entries if isinstance(entry.value, str) and entry.value]
