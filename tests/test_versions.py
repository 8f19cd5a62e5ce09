"""The versions that pyproject.toml allows, installed for real: the lowest of each, and the newest.

Each test makes an environment below the temporary folder (some gigabytes: torch comes with what it
needs for CUDA) and trains the digits twin in it.
"""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.shipped import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
DIGITS = [Requirement(line) for line in PROJECT["optional-dependencies"]["data"]]


def lowest(requirement: Requirement) -> str:
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    return f"{requirement.name}=={bound.version}"


def test_every_dependency_has_a_lower_bound_that_the_pinned_version_obeys() -> None:
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
    names = {name.lower(): Version(version) for name, version in pinned.items()}
    for requirement in [*NEEDED, *DIGITS]:
        version = names[requirement.name.lower()]
        assert version in requirement.specifier
        assert Version(lowest(requirement).split("==")[1]) <= version


def interpreter(version: str) -> str:
    """Return a Python of this minor version: its own command, or one of pyenv's."""
    found = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found += [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"))]
    for path in filter(None, found):
        asked = [path, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2], sep='.')"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return path
    raise AssertionError(f"there is no Python {version} on this machine")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("version", "packages"),
    [
        ("3.12", [*map(lowest, NEEDED), "scikit-learn==1.5.0", "scipy==1.12.0"]),
        ("3.13", [*(each.name for each in NEEDED), "scikit-learn", "torchvision", "numpy>=2"]),
    ],
    ids=["lowest on 3.12", "newest on 3.13"],
)
def test_the_digits_twin_trains(version: str, packages: list[str], tmp_path: Path) -> None:
    variables = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PYTHON") and key not in ("VIRTUAL_ENV", "WAVETWIN_LOGGERS")
    } | {"OMP_NUM_THREADS": "1"}

    def call(*label: str | Path) -> str:
        done = subprocess.run(
            label, capture_output=True, text=True, check=False, cwd=tmp_path, env=variables
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(interpreter(version), "-m", "venv", tmp_path / "environment")
    python = tmp_path / "environment/bin/python"
    for name in ("wavetwin", "templates"):
        shutil.copytree(ROOT / name, tmp_path / "source" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    (tmp_path / ".wavetwin.toml").touch()
    call(python, "-m", "pip", "install", "--quiet", tmp_path / "source", *packages)
    call(python, "-m", "pip", "check")

    wavetwin = tmp_path / "environment/bin/wavetwin"
    call(wavetwin, "check", "specs")
    epochs = ("--set", "training.epochs=2")
    call(wavetwin, "build", "--no-git", "--standalone", *epochs, "specs/digits/twin_mod.yaml")
    (built,) = (tmp_path / "generated").iterdir()
    for script in ("train.py", "evaluate.py"):
        options = ("--device", "cpu", "--limit-batches", "4", "--workers", "0")
        call(python, "-W", "error", built / script, *options)
    (scores,) = (tmp_path / "runs").rglob("scores.json")
    assert "top1_error" in scores.read_text("utf-8")
    assert list((tmp_path / "runs").rglob("events.out.tfevents.*"))
    assert call(wavetwin, "runs", "list")
    if "torchvision" in packages:
        program = "from wavetwin.runtime import import_torchvision as t; print(t().__version__)"
        assert call(python, "-W", "error", "-c", program)
