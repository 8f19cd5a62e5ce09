"""docs/ci.md and .pre-commit-hooks.yaml: what they run in a user's project does what they say."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import wavetwin
from tests.support.shipped import ROOT

PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
PRE_COMMIT, WORKFLOW = [
    YAML(typ="safe").load(block) for block in re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE)
]
HOOKS = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
VARIABLES = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
SPEC = "extends: wavetwin:digits/cnn.yaml\ntraining: {epochs: 3}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/a.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / ".gitignore").write_text("/built/\n/specs.sarif\n", encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "specs"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=VARIABLES)
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, capture_output=True, text=True, check=False,
        env=VARIABLES,
    )  # fmt: skip


def steps() -> list[str]:
    every = [step["run"] for step in WORKFLOW["jobs"]["check"]["steps"] if "run" in step]
    assert every[0] == f"pip install wavetwin=={wavetwin.__version__}"
    # The checkout that wavetwin is imported from here may have changes.
    return [step.replace("build specs", "build specs --allow-dirty") for step in every[1:]]


@pytest.mark.slow  # a process for each step
def test_the_workflow_passes_and_says_what_is_wrong(project: Path) -> None:
    for step in steps():
        done = run(step, project)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    assert (project / "built/a/model.py").exists()
    sarif = json.loads((project / "specs.sarif").read_text(encoding="utf-8"))
    assert (sarif["version"], sarif["runs"][0]["results"]) == ("2.1.0", [])

    (project / "specs/a.yaml").write_text(SPEC.replace("epochs", "epoch"), encoding="utf-8")
    formatted, checked, written, built = [run(step, project) for step in steps()]
    assert (formatted.returncode, checked.returncode, written.returncode) == (0, 2, 0)
    assert "::error file=specs/a.yaml,line=2" in checked.stdout
    sarif = json.loads((project / "specs.sarif").read_text(encoding="utf-8"))
    assert [each["ruleId"] for each in sarif["runs"][0]["results"]] == ["unknown-field"]
    assert built.returncode == 2


def hooks() -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for hook in PRE_COMMIT["repos"][0]["hooks"]}


def test_the_hooks_are_those_of_the_page(project: Path) -> None:
    assert {hook["id"] for hook in HOOKS} == set(hooks())
    for hook in HOOKS:
        shown = hooks()[hook["id"]]
        assert shown["entry"].removesuffix(" --strict") == hook["entry"]
        assert [shown[key] for key in ("files", "types")] == [hook["files"], hook["types"]]
        assert shown["additional_dependencies"] == [f"wavetwin=={wavetwin.__version__}"]
        entry = [*shlex.split(hook["entry"]), "specs/a.yaml"]
        assert run(shlex.join(entry), project).returncode == 0
    (project / "specs/a.yaml").write_text(SPEC.replace(": {", ":   {"), encoding="utf-8")
    assert run("wavetwin fmt --check specs/a.yaml", project).returncode == 1
    # pre-commit fails a hook that changes a file.
    assert run("wavetwin fmt specs/a.yaml", project).returncode == 0
    assert (project / "specs/a.yaml").read_text(encoding="utf-8") == SPEC


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pre_commit_installs_and_runs_them(project: Path, tmp_path: Path) -> None:
    repository = tmp_path / "wavetwin"
    names = ["wavetwin", "templates", "specs", "pyproject.toml", "README.md", "LICENSE"]
    subprocess.run(["mkdir", repository], check=True)
    subprocess.run(
        ["cp", "-r", *(ROOT / name for name in names), ROOT / ".pre-commit-hooks.yaml", repository],
        check=True,
    )
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "copy"]):
        subprocess.run(["git", *command], cwd=repository, check=True, env=VARIABLES)
    command = (
        f"PRE_COMMIT_HOME={tmp_path}/cache pre-commit try-repo {repository} --files specs/a.yaml"
    )
    done = run(command, project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == 2
    (project / "specs/a.yaml").write_text("extends:  none.yaml\n", encoding="utf-8")
    done = run(command, project)
    assert done.returncode == 1
    assert "extends-not-found" in done.stdout
    assert "files were modified by this hook" in done.stdout
