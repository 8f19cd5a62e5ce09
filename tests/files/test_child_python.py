"""What wavetwin starts as a Python of its own imports nothing of the folder that a user is in."""

from __future__ import annotations

import json
import re
import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.built import build, write_spec
from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.files import child_python
from wavetwin.files.child_python import code_command, module_command

SHADOWS = ("argparse", "json", "random", "runpy", "torch", "types", "wavetwin")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with modules that say that they were run."""
    for name in SHADOWS:
        text = f"open({str(tmp_path / 'RAN-')!r} + {name!r}, 'w').close()\n"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("RAN-*"))


def test_modules_of_the_current_folder_are_not_imported(here: Path) -> None:
    program = "import json, types, wavetwin; print(wavetwin.__file__)"
    for command in (code_command(program), module_command("wavetwin", "--version")):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(("wavetwin ", str(ROOT)))
    assert ran(here) == []
    subprocess.run([sys.executable, "-m", "wavetwin", "--version"], check=False)
    assert ran(here), "the trap is none"


def test_what_is_installed_beside_wavetwin_shadows_no_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "print([sys.path.index(each) for each in (json_folder, root)])"
    find = f"import json, pathlib; json_folder = str(pathlib.Path(json.__file__).parents[1]); {program}"
    for root, is_first in ((site.getsitepackages()[0], False), (str(tmp_path), True)):
        monkeypatch.setattr(child_python, "_ROOT", root)
        command = code_command(f"root = {root!r}; {find}")
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        library, found = json.loads(done.stdout)
        assert (found < library) == is_first


def test_what_a_folder_differs_in_is_told_without_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build(write_spec(here / "project")).folder
    with (folder / "train.py").open("a", encoding="utf-8") as script:
        script.write("# mine\n")
    assert cli.main(["diff", str(folder), str(folder)]) in (0, 1)
    assert "train.py" in "".join(capsys.readouterr())
    assert ran(here) == []


def test_every_python_of_ours_is_started_so() -> None:
    """A module by `-m`, or code by `-c`, would find the current folder first."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "wavetwin").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"sys\.executable,.*\"-(m|c)\"", line) and path.name != "child_python.py"
    ]
    assert found == []
