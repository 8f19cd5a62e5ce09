"""Virtual environments of other Pythons, with an empty folder beside each: what a user has who installs the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT


def find_interpreter(version: str) -> str | None:
    """Return a Python of this minor version, or None: its own command, or one of pyenv's."""
    found = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found += [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"))]
    for path in filter(None, found):
        asked = [path, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2], sep='.')"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return path
    return None


def make_distributions(folder: Path) -> tuple[Path, Path]:
    """Return the sdist, and the wheel that is made from it, as an index would get both."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


class Environment:
    """A virtual environment, and an empty folder in which its commands run."""

    def __init__(self, version: str, folder: Path) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self.bin = folder / "environment/bin"
        self.variables = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON") and key not in ("VIRTUAL_ENV", "WAVETWIN_LOGGERS")
        } | {"OMP_NUM_THREADS": "1", "GIT_CEILING_DIRECTORIES": str(folder)}
        python = find_interpreter(version)
        assert python, f"there is no Python {version} on this machine"
        self.run([python, "-m", "venv", str(folder / "environment")])

    def run(self, command: list[str], code: int = 0) -> str:
        """Run a command, which ends with an exit code, and return what it prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder,
            env=self.variables,
        )  # fmt: skip
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout + (done.stderr if code else "")

    def install(self, *what: str) -> None:
        """Install packages; what each asks for has to be there."""
        pip = [str(self.bin / "python"), "-m", "pip"]
        self.run([*pip, "install", "--quiet", *what])
        self.run([*pip, "check"])

    def wavetwin(self, *arguments: str, code: int = 0) -> str:
        """Run one of wavetwin's commands."""
        return self.run([str(self.bin / "wavetwin"), *arguments], code)

    def python(self, *arguments: str) -> str:
        """Run Python, whose warnings are errors."""
        return self.run([str(self.bin / "python"), "-W", "error", *arguments])
