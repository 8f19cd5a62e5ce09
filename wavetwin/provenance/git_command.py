"""Call `git`, alike whoever made the repository; no other module does.

A repository may come from somebody else, as an archive or on a shared disk, with a configuration
that names programs. Git finds it by itself, from the work tree's root, so that its own question who
owns it (`safe.directory`) is asked: GIT_DIR would switch that off. Nothing is fetched, no hook,
filter, converter or monitor is started, and nothing is written to a repository that is there.

Of the user's variables those that name their own configuration stay, since git's remedies are
written there; those that lead to another repository, index or object store are dropped: a hook
inherits them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wavetwin.diagnostics import CompileError, Diagnostic

_KEPT = re.compile(r"GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_[0-9]+|VALUE_[0-9]+)", re.ASCII)
# Settings of the command line win over every file and variable. All of them either name programs
# or change what is printed.
_SETTINGS = (
    "core.alternateRefsCommand=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=true",
    "core.untrackedCache=false",
    "safe.bareRepository=explicit",
)
_VARIABLES = {
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_ASKPASS": "false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_SSH_COMMAND": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
LIMIT_SECONDS = 60
"""Of one command: a pipe in the place of a file of the repository would keep git for good."""
_NOT_FETCHED = ("promisor", "lazy fetch", "transport '", "filter-spec")


def run_git(
    root: Path,
    arguments: Sequence[str],
    content: bytes = b"",
    environment: Mapping[str, str] | None = None,
    codes: tuple[int, ...] = (0,),
    without: str = "--no-git builds without it and marks what comes of it",
    commit: str = "HEAD",
) -> bytes:
    """Return what a `git` command prints.

    Args:
        root: the work tree's root, where git looks for its repository and nowhere above.
        arguments: the command's arguments, and settings before them.
        content: standard input.
        environment: variables that win over those set here.
        codes: exit codes that are answers.
        without: how the user gets on without git; the help of a failure.
        commit: whose objects are read; the help of a partial clone names it.

    Raises:
        CompileError: `git-failed`: it ended with a code not in `codes`, or not at all, or there is no
            git.
    """
    variables = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("GIT_") or _KEPT.fullmatch(key)
    }
    variables |= {"GIT_CEILING_DIRECTORIES": str(root.parent), **_VARIABLES, **(environment or {})}
    settings = [argument for setting in _SETTINGS for argument in ("-c", setting)]
    try:
        result = subprocess.run(
            [_program(), "--no-pager", *settings, *arguments],
            cwd=root,
            env=variables,
            input=content,
            capture_output=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        message = f"git has not answered for {LIMIT_SECONDS} seconds"
        help_text = f"look for a file of {root / '.git'} that is a pipe, and at the disk; {without}"
        raise _failed(root, message, help_text) from error
    except OSError as error:
        message = f"cannot start git: {error.strerror}"
        raise _failed(root, message, f"install git, or put it on PATH; {without}") from error
    if result.returncode in codes:
        return result.stdout
    message = result.stderr.decode("utf-8", "replace")
    raise _failed(root, *_explain(message, root, without, commit))


def _program() -> str:
    """Return the path of git; a relative entry of PATH would name a file of the repository.

    Raises:
        FileNotFoundError: there is none.
    """
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())
    found = shutil.which("git", path=path)
    if found is None:
        raise FileNotFoundError(2, os.strerror(2), "git")
    return found


def _explain(message: str, root: Path, without: str, commit: str) -> tuple[str, str]:
    """Return headline and help for what a failed git has written to standard error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ["no message"]
    if "safe.directory" in message:
        # Git's own command: it knows which of the work tree and its .git somebody else owns.
        own = (
            line for line in lines if line.startswith("git config ") and "safe.directory" in line
        )
        remedy = next(own, f"git config --global --add safe.directory {shlex.quote(str(root))}")
        help_text = (
            f"if you trust whoever can write there: {remedy}; or, as its owner, chown it to "
            f"yourself; {without}"
        )
        return f"git cannot read the repository: {lines[0]}", help_text
    if any(hint in message for hint in _NOT_FETCHED):
        return _not_fetched(root, commit, without)
    return (
        f"git cannot read the repository: {lines[0]}",
        f"git -C {shlex.quote(str(root))} status says what is wrong with it; {without}",
    )


def object_is_missing(root: Path, oid: str, commit: str, without: str) -> CompileError:
    """Return the error for an object of a commit that the repository lacks."""
    command = ["config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"]
    if run_git(root, command, codes=(0, 1), without=without):
        return _failed(root, *_not_fetched(root, commit, without))
    headline = f"git cannot read the repository: its object {oid} is missing"
    return _failed(root, headline, f"git -C {shlex.quote(str(root))} fsck lists all; {without}")


def _not_fetched(root: Path, commit: str, without: str) -> tuple[str, str]:
    return (
        "git cannot read the repository: it is a partial clone that lacks a part of "
        f"{commit[:8]}, and nothing is fetched here",
        f"git -C {shlex.quote(str(root))} archive -o {os.devnull} {commit[:12]} fetches it, if you "
        f"trust the remote; {without}",
    )


def _failed(root: Path, headline: str, help_text: str) -> CompileError:
    return CompileError([Diagnostic("git-failed", headline, subject=str(root), help=help_text)])
