"""A spec at a commit: the file and all its parents as the commit's tree has them.

gitpython is imported here and nowhere else: it costs more than a whole difference of two specs.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse import parse_bytes
from wavetwin.compiler.project import find_project, real_path
from wavetwin.diagnostics import CompileError
from wavetwin.operands.operand import refused

_LINK = 0o120000
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
    with _tree_at(root, revision, str(spec)) as (commit, tree):
        name = real_path(path.parent).relative_to(real_path(root)).as_posix()
        name = posixpath.normpath(f"{name}/{path.name}")
        with tempfile.TemporaryDirectory(prefix="wavetwin-") as folder:
            copy = Path(folder)
            _copy_closure(tree, name, copy)
            if not (copy / name).is_file():
                raise refused(
                    "spec-not-at-commit",
                    f"there is no such spec at {revision} ({commit[:8]})",
                    str(spec),
                    f"`git log --oneline -- {spec}` shows the commits that have it",
                )
            place = copy / _relative(home, root)
            place.mkdir(parents=True, exist_ok=True)
            try:
                compiled = compile_spec(copy / name, overrides, place)
            except CompileError as error:
                note = f"at: {revision} ({commit[:8]}), by the language of this wavetwin"
                raise CompileError(
                    [replace(each, notes=(*each.notes, note)) for each in error.diagnostics]
                ) from error
    return CommitSpec(compiled, commit)


def _relative(home: Path, root: Path) -> str:
    """Return where a project lies in its repository; the root where it is around it."""
    place, top = real_path(home), real_path(root)
    return place.relative_to(top).as_posix() if place.is_relative_to(top) else "."


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


@contextmanager
def _tree_at(root: Path, revision: str, spec: str) -> Iterator[tuple[str, Any]]:
    """Yield a commit's hash and its tree."""
    # Without it, importing gitpython fails where there is no git; its commands then say so.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git

    try:
        with git.Repo(root) as repository:
            # In a hook, inherited variables would name another repository.
            repository.git.update_environment(
                GIT_DIR=str(repository.git_dir), GIT_NO_REPLACE_OBJECTS="1", LC_ALL="C"
            )
            found: str = repository.git.rev_parse(
                "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
            yield found, repository.commit(found).tree
    except (git.GitError, ValueError, OSError) as error:
        # git's own way to say that it has no such name.
        if isinstance(error, git.GitCommandError) and error.status == 1:
            raise refused(
                "unknown-commit",
                f"the repository has no commit '{revision}'",
                spec,
                "name a hash, a branch, a tag, or a commit before one, such as HEAD~3",
            ) from None
        raise refused(
            "git-failed",
            f"git cannot read the repository of {spec}: {_last_line(error)}",
            str(root),
            "`git status` in that folder says what is wrong with it",
        ) from error


def _last_line(error: Exception) -> str:
    """Return what git said, of a failed command its last words."""
    said = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return said[-1].strip() if said else type(error).__name__


def _copy_closure(tree: Any, name: str, copy: Path) -> None:
    """Write a file of a tree, and the files that it extends or links to, below a folder.

    What the tree does not have is left out: composing then reports it at its place.
    """
    wanted, seen = [name], set[str]()
    while wanted and len(seen) < _MAX_FILES:
        name = wanted.pop()
        if name in seen or name.startswith("../") or posixpath.isabs(name):
            continue
        seen.add(name)
        try:
            blob = tree / name
        except KeyError:
            continue
        if blob.type != "blob":
            continue
        data: bytes = blob.data_stream.read()
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = posixpath.dirname(name)
        if blob.mode == _LINK:
            aim = os.fsdecode(data)
            target.symlink_to(aim)
            wanted.append(posixpath.normpath(posixpath.join(folder, aim)))
            continue
        target.write_bytes(data)
        wanted += [
            posixpath.normpath(posixpath.join(folder, each)) for each in _parents(data, name)
        ]


def _parents(data: bytes, name: str) -> list[str]:
    """Return the texts of a spec's `extends`, whatever else is wrong with it."""
    tree = parse_bytes(data, name).tree
    node = tree.value.get("extends") if tree is not None and isinstance(tree.value, dict) else None
    if node is None:
        return []
    entries = node.value if isinstance(node.value, list) else [node]
    return [entry.value for entry in entries if isinstance(entry.value, str) and entry.value]
