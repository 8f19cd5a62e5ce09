"""A project with code of its own, as a copy that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.paths import ROOT

PROJECT = ROOT / "tests" / "support" / "own_project"


def own_project(folder: Path, name: str = "own") -> Path:
    """Copy the project below a folder and return the path of one of its specs."""
    project = folder / "project"
    if not project.exists():
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
        (project / ".wavetwin.toml").touch()
    return project / f"{name}.yaml"


def change(file: Path, old: str, new: str) -> None:
    """Replace a text of a file that has it once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")


def layer_spec(folder: Path, code: str, arguments: str = "", layers: str = "") -> Path:
    """Write a project whose network has a layer `Own` of this code behind a convolution."""
    (folder / "own").mkdir(parents=True, exist_ok=True)
    (folder / ".wavetwin.toml").touch()
    (folder / "own" / "layers.py").write_text(code, encoding="utf-8")
    given = f", arguments: {{{arguments}}}" if arguments else ""
    own = f"{{name: mine, module: {{file: own/layers.py, name: Own{given}}}}}"
    spec = folder / "spec.yaml"
    spec.write_text(
        f"""wavetwin: 1
data: {{dataset: digits}}
backbone:
  arch: sequential
  input: image
  layers: [{{conv: {{channels: 4}}}}, {own}, {layers or "{flatten: {}}, {linear: {}}"}]
""",
        encoding="utf-8",
    )
    return spec
