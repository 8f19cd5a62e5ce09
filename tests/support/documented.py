"""The documentation's fenced blocks, and a shell that runs them as a new user's would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = "no-run: "


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    """`README.md`, or the name in docs/."""
    number: int
    """From 1, on its page."""
    language: str
    info: str
    """Behind the language."""
    text: str

    @property
    def reason(self) -> str | None:
        """Why nobody runs it, where the page says so."""
        return self.info.removeprefix(_NOT_RUN) if self.info.startswith(_NOT_RUN) else None

    @property
    def parts(self) -> Iterator[tuple[str, str]]:
        """Each command of a console, and what is quoted of its output."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, quoted = part.partition("\n")
            yield command, quoted


@cache
def documented_blocks() -> Sequence[Block]:
    """Return every block of README.md and docs/."""
    found: list[Block] = []
    for file in PAGES:
        page = "README.md" if file.parent == ROOT else f"docs/{file.name}"
        text = file.read_text(encoding="utf-8")
        matches = list(_BLOCK.finditer(text))
        assert 2 * len(matches) == len(re.findall(r"^```", text, re.MULTILINE)), page
        for number, match in enumerate(matches, 1):
            language, _, info = match[1].partition(" ")
            found.append(Block(page, number, language, info, match[2]))
    return tuple(found)


@dataclass
class Shell:
    """A shell that a reader types into: its folder and its exported variables stay."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    """By the last commands."""
    transcript: str = ""
    """All commands, each with what it printed."""

    def run(self, commands: str) -> None:
        """Run commands and stop at the first that fails."""
        state = self.folder.parent / "state"
        script = f"{commands}\n{{ pwd; echo \"$WAVETWIN_DATA\"; }} > '{state}'\n"
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=self.folder,
            env=self.variables,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3000,
        )
        self.printed = done.stdout
        self.transcript += f"$ {commands}{done.stdout}"
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        folder, data = state.read_text(encoding="utf-8").splitlines()
        state.unlink()
        self.folder = Path(folder)
        if data:
            self.variables["WAVETWIN_DATA"] = data


def masked(line: str) -> str:
    """Return a line without what changes from machine to machine: numbers, digests, spaces."""
    line = re.sub(r"\b[0-9a-f]{8,}\b", "H", line)
    return " ".join(re.sub(r"[+-]?[0-9][0-9.,:]*(?<![.,:])", "N", line).split())


def missing_lines(quoted: str, printed: str) -> list[str]:
    """Return the quoted lines that are not printed in this order; dots stand for anything."""
    lines = iter([masked(line) for line in re.split(r"[\n\r]", printed)])
    missing: list[str] = []
    for line in quoted.splitlines():
        if line.strip() == "...":
            continue
        pattern = re.escape(masked(line)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, each) for each in lines):
            missing.append(line)
    return missing


def environment(home: Path) -> dict[str, str]:
    """Return what a new user's shell has: no configuration, no cache, a name for git, no network."""
    programs = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    identity = {
        f"GIT_{role}_{what}": "a@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    own = {"HOME": str(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, **identity, **nowhere, **own, "PATH": os.pathsep.join(programs)}


ALLOWING = """\
wavetwin() { case $1 in run|build|sweep) command wavetwin $1 --allow-dirty "${@:2}";; *) command wavetwin "$@";; esac; }
"""
"""For a checkout of wavetwin that somebody works in: a build refuses changes that are not committed."""


def is_dirty() -> bool:
    """Return whether the checkout that is tested has changes; a new user's wavetwin has none."""
    command = ["git", "status", "--porcelain", "--", "wavetwin", "templates", "constraints.txt"]
    return bool(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def shell_of_a_new_user(folder: Path) -> Shell:
    """Return a shell in an empty folder, which is made, and beside it a home that is empty, too."""
    home = folder.with_name("home")
    home.mkdir()
    folder.mkdir()
    shell = Shell(folder, environment(home))
    if is_dirty():
        (home / "allowing").write_text(ALLOWING, encoding="utf-8")
        shell.variables["BASH_ENV"] = str(home / "allowing")
    return shell
