"""Offer what to add to .gitignore, so that git leaves built folders and runs alone.

It is printed after a build and never written: the file is the user's.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.diagnostics import CompileError
from wavetwin.explain.text_table import shown
from wavetwin.provenance.git_command import run_git
from wavetwin.provenance.git_state import GitState

if TYPE_CHECKING:
    from wavetwin.commands.specs import Built

__all__ = ["ignore_offer"]

_FILES = {"generated": "train.py", "runs": "manifest.json"}
"""What lies in a folder of an experiment in each of them."""


def ignore_offer(built: Sequence[Built], current: Path) -> str:
    """Return lines with the commands that let git ignore what builds and runs write; may be empty.

    Nothing is offered for folders that git ignores already or tracks builds or runs of, nor for
    builds outside of `generated/` or of a work tree.

    Args:
        built: what a command has built, with git.
        current: the folder that a command of the user's starts in.
    """
    names = {
        result.compiled.project.resolve(): result.folder.name
        for result in built
        if result.folder.parent == result.compiled.project / "generated"
    }
    lines: list[str] = []
    for project, name in names.items():
        # What was built is right all the same: where git has no answer (`generated` is a repository
        # of its own in another one), there is nothing to offer.
        with suppress(CompileError):
            lines += _of_project(project, name, current)
    return "".join(lines)


def _of_project(project: Path, name: str, current: Path) -> Iterator[str]:
    root = GitState().work_tree(project)
    if root is None:
        return
    links = [top for top in _FILES if (project / top).is_symlink()]
    asked = {top: _seen_by_git(project, top, name).relative_to(root).as_posix() for top in _FILES}
    listing = run_git(
        root,
        ["check-ignore", "-z", "--stdin"],
        b"".join(os.fsencode(path) + b"\0" for path in asked.values()),
        {"GIT_LITERAL_PATHSPECS": "0"},  # which this command refuses
        codes=(0, 1),
    )
    ignored = {os.fsdecode(path) for path in listing.split(b"\0")}
    tops = [top for top, path in asked.items() if path not in ignored]
    tops = [top for top in tops if not _is_tracked(root, (project / top).relative_to(root), links)]
    if not tops:
        return
    patterns = [f"/{top}" if top in links else f"/{top}/" for top in tops]
    file = project / ".gitignore"
    if file.is_file() and file.read_bytes()[-1:] not in (b"", b"\n"):
        # Otherwise the last line of the file and the first new one would be one.
        patterns = ["", *patterns]
    command = shlex.join(["printf", "%s\\n", *patterns])
    folders = " and ".join(f"{top}/" for top in tops)
    verb = "is" if len(tops) == 1 else "are"
    target = shlex.quote(shown(file, current))
    yield f"gitignore   {folders} {verb} not ignored by git: {command} >> {target}\n"


def _seen_by_git(project: Path, top: str, name: str) -> Path:
    """Return a path that a build or a run leaves; of a folder kept elsewhere git sees the link."""
    for path in (project / top, project / top / name):
        if path.is_symlink():
            return path
    return project / top / name / _FILES[top]


def _is_tracked(root: Path, top: Path, links: Sequence[str]) -> bool:
    """Return whether a folder of an experiment is in git, by the user's own choice."""
    if top.name in links:
        return False
    listing = run_git(root, ["ls-files", "-z", "--", top.as_posix()])
    depth = len(top.parts) + 1
    return any(path.count(b"/") >= depth for path in listing.split(b"\0"))
