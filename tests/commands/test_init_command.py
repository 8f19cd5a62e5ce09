"""`wavetwin init`: what it writes compiles, trains, differs, and overwrites nothing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import wavetwin
from wavetwin.commands import cli
from wavetwin.commands.project_files import TWINS, Choices, project_files
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.datasets import DATASETS
from wavetwin.provenance.starters import starter_names


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a current folder that lies in no repository."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def compiled(
    folder: Path, dataset: str, backbone: str | None = None, twins: Iterable[str] = TWINS
) -> dict[str, Compiled]:
    """Write a project's specs, without the command, and compile them."""
    classes = 6 if DATASETS[dataset].num_classes is None else None
    choices = Choices.of(dataset, backbone, classes, tuple(twins))
    (folder / "specs").mkdir(parents=True)
    files = project_files(choices, "title")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {
        name: compile_spec(folder / name, project=folder)
        for name in files
        if name.startswith("specs/")
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_begins_without_a_warning(tmp_path: Path, dataset: str) -> None:
    specs = compiled(tmp_path / "project", dataset)
    assert list(specs) == ["specs/cnn.yaml", "specs/cmod.yaml", "specs/rmax.yaml"]
    assert [each.warnings for each in specs.values()] == [(), (), ()]
    cnn, *twins = specs.values()
    assert cnn.spec.stem.wavelet is None
    for twin in twins:
        assert twin.spec.stem.wavelet is not None
        assert twin.plan.data == cnn.plan.data
    assert len({each.model_digest for each in specs.values()}) == 3
    readme = (tmp_path / "project/README.md").read_text(encoding="utf-8")
    row = DATASETS[dataset]
    assert ("wavetwin data prepare specs/cnn.yaml" in readme) == row.is_own
    assert ("the index by which they are read" in readme) == bool(row.indexer)
    for step in (
        "Write that file into `extends`",
        "take `num_classes` and `validation` out",
        "--sheet sheet.html",
    ):
        assert (step in readme) == row.is_own, step


@pytest.mark.parametrize("backbone", ARCHITECTURES)
def test_every_backbone_begins_with_a_twin_of_its_own(tmp_path: Path, backbone: str) -> None:
    row = ARCHITECTURES[backbone]
    assert row.lists_layers or row.twin_starter in starter_names()
    specs = compiled(tmp_path / "project", "folder", backbone, ["cmod"])
    assert {each.spec.backbone.arch for each in specs.values()} == {backbone}
    assert all(each.spec.data.num_classes == 6 for each in specs.values())


def test_a_project_in_a_path_with_spaces(current: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "my study", "--twin", "rmax"]) == 0
    project = current / "my study"
    assert written(project) == {
        "specs/cnn.yaml", "specs/rmax.yaml", ".wavetwin.toml", "spec.schema.json", ".gitignore", "requirements.txt", "README.md",
    }  # fmt: skip
    assert (project / ".git").is_dir()
    requirements = (project / "requirements.txt").read_text(encoding="utf-8")
    assert (
        requirements.splitlines()[-1] == f"wavetwin[run,data,tensorboard]=={wavetwin.__version__}"
    )
    ignored = (project / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1:] == ["/.venv/", "/generated/", "/runs/"]
    out = capsys.readouterr().out
    assert "\nnext        cd 'my study'\n" in out
    # Once more: everything is there, and stays.
    (project / "specs/cnn.yaml").write_text("mine", encoding="utf-8")
    assert cli.main(["init", "my study", "--twin", "rmax", "--twin", "cmod"]) == 2
    message = capsys.readouterr().err
    assert "output-exists" in message
    assert "files: specs/cnn.yaml, specs/rmax.yaml\n" in message
    assert (project / "specs/cnn.yaml").read_text(encoding="utf-8") == "mine"
    assert not (project / "specs/cmod.yaml").exists()


def test_a_project_in_a_repository_keeps_what_is_there(
    current: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=current, check=True)
    (current / ".gitignore").write_text("*.pyc\n", encoding="utf-8")
    (current / "README.md").write_text("mine\n", encoding="utf-8")
    folder = current / "inside"
    folder.mkdir()
    (folder / "README.md").write_text("mine, too\n", encoding="utf-8")
    assert cli.main(["init", "inside"]) == 0
    assert not (folder / ".git").exists()
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine, too\n"
    assert "kept        inside/README.md, which was there\n" in capsys.readouterr().out
    assert cli.main(["init"]) == 0
    out = capsys.readouterr().out
    assert (
        "kept        .gitignore, which was there; it should have: /.venv/ /generated/ /runs/\n"
        in out
    )
    assert "kept        README.md" in out
    assert (current / ".gitignore").read_text(encoding="utf-8") == "*.pyc\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "folder"], "nothing says how many classes"),
        (["--classes", "3"], "digits has 10 classes"),
        (["--backbone", "alexnet"], "does-not-fit"),
        (
            ["--backbone", "vgg16", "--twin", "rmax"],
            "specs/rmax.yaml:9:12: error: poolings-do-not-mix",
        ),
        (["file"], "a folder of the project would lie where something else is"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_nothing_is_written_of_a_project_that_would_not_build(
    current: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (current / "file").touch()
    assert cli.main(["init", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in current.iterdir()] == ["file"]


@pytest.mark.slow
def test_the_next_commands_build_train_and_differ(
    current: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run what the command prints, as a shell would, two batches in all; wavetwin may be dirty here."""
    assert cli.main(["init", "a b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("next"))
    program = f"{shlex.quote(sys.executable)} -m wavetwin"
    commands = [line[12:].replace("wavetwin ", f"{program} ", 1) if line[12:].startswith("wavetwin") else line[12:] for line in lines[start:]]  # fmt: skip
    commands = [
        f"{each} --allow-dirty --set training.epochs=2 -- --limit-batches 1"
        if " run " in each
        else each
        for each in commands
    ]
    commands = [f"{each} || test $? = 1" if " diff " in each else each for each in commands]
    who = {f"GIT_{role}_{what}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}  # fmt: skip
    script = " && ".join(f"{{ {each}; }}" if "||" in each else each for each in commands)
    result = subprocess.run(
        ["bash", "-ec", script], env=os.environ | who | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert result.returncode == 0
    for name in ("cnn", "cmod"):
        (scores,) = (current / "a b" / "runs" / name).glob("*/scores.json")
        text = scores.read_text(encoding="utf-8")
        assert json.loads(text)
        assert "flip" in text


def test_without_git_a_project_has_no_repository(
    current: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(current))
    assert cli.main(["init", "project"]) == 2
    assert "--no-git begins the project without a repository" in capsys.readouterr().err
    assert written(current) == set()
    assert cli.main(["init", "project", "--no-git"]) == 0
    assert "data prepare" not in capsys.readouterr().out
    assert "specs/cnn.yaml" in written(current / "project")
    assert cli.main(["init", "own", "--no-git", "--dataset", "folder", "--classes", "6"]) == 0
    assert "wavetwin data prepare specs/cnn.yaml --data-root DIR" in capsys.readouterr().out
