"""The command line as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wavetwin
from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.diagnostics import Diagnostic

SPEC = "wavetwin: 1\nbackbone: {arch: resnet18}\ndata: {dataset: digits}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".wavetwin.toml").touch()
    (folder / "a.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def make_repository(folder: Path) -> None:
    who = {
        f"GIT_{role}_{what}": "a@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=os.environ | who)


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    assert "required: COMMAND" in capsys.readouterr().err


def test_module_and_version() -> None:
    command = [sys.executable, "-m", "wavetwin", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == f"wavetwin {wavetwin.__version__}\n"


def test_show_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(ROOT / "specs/digits/cnn.yaml"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == "cnn"
    assert document["parameters"] == {"trainable": 27410, "frozen": 0, "buffers": 240}


def test_strict_and_formats(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "a.yaml").write_text(SPEC + "pooling: {fre: max}\n", encoding="utf-8")
    assert cli.main(["check", "a.yaml", "--format", "json"]) == 2
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["code"], found["location"]["line"], found["location"]["column"]) == (
        "unknown-field",
        4,
        11,
    )
    assert cli.main(["check", "a.yaml", "--format", "github"]) == 2
    assert capsys.readouterr().out.startswith("::error file=a.yaml,line=4,col=11")
    assert cli.main(["check", "a.yaml", "--format", "sarif"]) == 2
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["results"][0]["ruleId"] == "unknown-field"


def test_build_check_tells_by_its_exit_code(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["build", "a.yaml", "--check"]) == 1
    assert cli.main(["build", "a.yaml", "--no-git"]) == 0
    assert "next        python generated/a/train.py" in capsys.readouterr().out
    assert cli.main(["build", "a.yaml", "--check"]) == 0
    (project / "a.yaml").write_text(SPEC + "training: {epochs: 3}\n", encoding="utf-8")
    assert cli.main(["build", "a.yaml", "--check"]) == 1
    assert "stale: a.yaml changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "parts",
    [
        [
            "run",
            "a.yaml",
            "--no-git",
            "--set",
            "training.epochs=7",
            "--",
            "--new",
            "--device",
            "cpu",
        ],
        [
            "run",
            "--no-git",
            "--set",
            "training.epochs=7",
            "a.yaml",
            "--",
            "--new",
            "--device",
            "cpu",
        ],
    ],
)
def test_run_takes_its_options_on_both_sides_of_the_spec(
    project: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    started: list[list[str]] = []

    def note(command: list[str]) -> int:
        started.append(command[1:])
        return 0

    monkeypatch.setattr("wavetwin.commands.child.run_child", note)
    assert cli.main(parts) == 0
    (train, *first), (evaluate, *second) = started
    folder = Path(train).parent
    assert folder.name.startswith("a@")
    assert not (project / "generated/a").exists()
    assert json.loads((folder / "plan.json").read_text(encoding="utf-8"))["epochs"] == 7
    assert first == ["--new", "--device", "cpu"]
    assert (Path(evaluate).name, second) == ("evaluate.py", ["--device", "cpu"])


def test_run_hands_device_and_data_root_on_to_both_scripts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        "wavetwin.commands.child.run_child", lambda command: started.append(command[2:]) or 0
    )
    options = ["--device", "cuda:1", "--data-root", "some where"]
    assert cli.main(["run", "a.yaml", "--no-git", *options]) == 0
    assert started == [options, options]
    started.clear()
    # The scripts read the last one of a kind.
    assert cli.main(["run", *options, "a.yaml", "--no-git", "--", "--new", "--device=cpu"]) == 0
    assert started == [[*options, "--new", "--device=cpu"], [*options, "--device=cpu"]]


def test_a_script_that_fails_ends_the_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavetwin.commands.child.run_child", lambda command: 7)
    assert cli.main(["run", "a.yaml", "--no-git"]) == 7


CIFAR = "extends: wavetwin:cifar10/R18C.yaml\ntraining: {epochs: 1}\n"
"""A schedule that never acts, which the build warns of."""


def test_run_writes_one_document(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of warnings of the build and what the script finds, which has no images to read."""
    (project / "a.yaml").write_text(CIFAR, encoding="utf-8")
    nowhere = ["--", "--device", "cpu", "--data-root", str(project)]
    assert cli.main(["run", "a.yaml", "--no-git", "--format", "json", *nowhere]) == 2
    document = json.loads(capfd.readouterr().out)
    kinds = [(each["severity"], each["code"]) for each in document["diagnostics"]]
    assert kinds == [("warning", "schedule-without-effect"), ("error", "data-set-missing")]


def test_a_run_of_several_seeds_writes_one_document(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a.yaml").write_text(CIFAR, encoding="utf-8")
    answers = [(0, ()), (0, ()), (2, (Diagnostic("data-set-missing", "there is none"),))]
    monkeypatch.setattr(
        "wavetwin.commands.seeds.run_reporting", lambda command, form: answers.pop(0)
    )
    assert cli.main(["run", "a.yaml", "--no-git", "--format", "sarif", "--seeds=0-1"]) == 2
    said = capfd.readouterr()
    results = json.loads(said.out)["runs"][0]["results"]
    assert [each["ruleId"] for each in results] == ["schedule-without-effect", "data-set-missing"]
    assert "seed 1: " in said.err


def test_only_run_takes_words_after_the_separator(project: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["check", "a.yaml", "--", "--new"])
    assert stop.value.code == 2


def test_two_specs_of_one_name_are_refused_where_they_meet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".wavetwin.toml").touch()
        (tmp_path / name / "a.yaml").write_text(SPEC, encoding="utf-8")
    specs = [str(tmp_path / name / "a.yaml") for name in ("one", "two")]
    out = str(tmp_path / "out")
    assert cli.main(["build", *specs, "--no-git", "--out", out]) == 2
    assert "duplicate-name" in capsys.readouterr().err
    assert not Path(out).exists()
    assert cli.main(["build", *specs, "--no-git"]) == 0


BAD_FILE_NAMES = ["...yaml", ".5.yaml", "-x.yaml", "my spec.yaml", "x --output=elsewhere.yaml"]


@pytest.mark.parametrize(
    "name", [*BAD_FILE_NAMES, "é.yaml", "a\n#SBATCH -x.yaml", f"{'a' * 65}.yaml"]
)
def test_a_name_taken_from_a_file_obeys_the_rules_of_a_written_one(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spec = f"./{name}"
    (project / name).write_text(SPEC, encoding="utf-8")
    (project / "train.py").write_text("mine\n", encoding="utf-8")
    before = sorted(project.rglob("*"))
    for parts in (
        ["check", spec],
        ["build", spec, "--no-git"],
        ["build", spec, "--check"],
        ["run", spec, "--no-git"],
        ["show", spec],
        ["diff", spec, "a.yaml"],
        ["evaluate", "weights.pt", "--spec", spec],
        ["import", "weights", "weights.pt", "--spec", spec, "--out", "x.safetensors"],
        ["data", "check", spec],
    ):
        assert cli.main(parts) == 2, parts
        assert ".yaml: error: bad-name: the spec writes no name" in capsys.readouterr().err
    assert sorted(project.rglob("*")) == before
    assert cli.main(["build", "a.yaml", "--no-git", "--set", f"name={json.dumps(name)}"]) == 2
    assert "--set[1]:1:6: error: bad-name" in capsys.readouterr().err


@pytest.mark.parametrize("name", BAD_FILE_NAMES)
def test_the_name_that_a_message_offers_is_one(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spec = project / name
    spec.write_text(SPEC, encoding="utf-8")
    assert cli.main(["check", str(spec)]) == 2
    line = capsys.readouterr().err.split("`")[1]
    spec.write_text(f"{SPEC}{line}\n", encoding="utf-8")
    assert cli.main(["build", str(spec), "--no-git"]) == 0
    lock = project / "generated" / line.removeprefix("name: ") / "spec.lock.yaml"
    assert cli.main(["diff", str(spec), str(lock)]) == 0


def test_names_that_differ_in_case_alone_are_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "b.yaml").write_text(f"{SPEC}name: A\n", encoding="utf-8")
    for command in (["check", "."], ["build", "a.yaml", "b.yaml", "--no-git"]):
        assert cli.main(command) == 2
        assert "b.yaml: error: duplicate-name" in capsys.readouterr().err
    assert not (project / "generated").exists()
    assert cli.main(["build", "a.yaml", "--no-git"]) == 0
    assert cli.main(["build", "a.yaml", "--no-git"]) == 0
    assert cli.main(["build", "b.yaml", "--no-git"]) == 2
    assert (
        "b.yaml: error: duplicate-name: A differs in case alone from a" in capsys.readouterr().err
    )
    assert cli.main(["build", "b.yaml", "--no-git", "--set", "training.seed=1"]) == 0
    assert cli.main(["build", "a.yaml", "--no-git", "--set", "training.seed=1"]) == 2
    assert cli.main(["build", "b.yaml", "--no-git", "--set", "name=c"]) == 0
    assert cli.main(["build", "a.yaml", "b.yaml", "--no-git", "--out", "elsewhere"]) == 2


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_project_has_to_hold_the_spec(
    project: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (project / "empty").mkdir()
    for command in ("check", "build", "show"):
        assert cli.main([command, "a.yaml", "--project", folder]) == 2
        assert "error: bad-project" in capsys.readouterr().err
    assert not (project / "nowhere").exists()


def test_an_untracked_link_is_an_untracked_input(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "child.yaml").write_text("extends: link.yaml\n", encoding="utf-8")
    make_repository(project)
    (project / "link.yaml").symlink_to("a.yaml")
    assert cli.main(["build", "child.yaml"]) == 2
    assert "untracked: link.yaml" in capsys.readouterr().err
    assert cli.main(["build", "link.yaml"]) == 2
    capsys.readouterr()
    # Whether wavetwin itself is clean depends on the checkout that runs this; the link does not.
    cli.main(["build", "a.yaml"])
    assert "link.yaml" not in capsys.readouterr().err


def test_names_that_no_file_has(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "x" * 300 + ".yaml"]) == 2
    assert "file-not-found" in capsys.readouterr().err
    os.mkfifo(project / "pipe.yaml")
    assert cli.main(["check", "."]) == 0


def test_a_report_of_something_else(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "nothing"]) == 2
    assert "is not a run" in capsys.readouterr().err
    assert cli.main(["build", "a.yaml", "--no-git"]) == 0
    assert cli.main(["report", "generated/a"]) == 2
    assert "is not a run" in capsys.readouterr().err


def test_our_own_faults_exit_with_3(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wavetwin.commands.specs.check_specs", lambda *_: 1 / 0)
    assert cli.main(["check", "a.yaml"]) == 3
    assert "internal-error" in capsys.readouterr().err


def test_an_interrupt_exits_with_130(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wavetwin.commands.specs.check_specs", interrupt)
    assert cli.main(["check", "a.yaml"]) == 130


def test_letters_that_a_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    spec = (ROOT / "specs/digits/cnn.yaml").read_text("utf-8")
    path = tmp_path / "modèle.yaml"
    path.write_text(spec.replace("../base", f"{tmp_path}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "wavetwin", "check", str(path)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"mod\\xe8le.yaml" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "help_text"),
    [
        ("specs/digits/cn.yaml", "did you mean 'specs/digits/cnn.yaml'?"),
        ("specs/digits/nothing-like-it.yaml", "give the path of a spec"),
        ("specs/digits", "name a .yaml file in it"),
    ],
)
def test_what_is_no_spec_file_has_a_remedy(
    name: str, help_text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["show", name]) == 2
    assert f"help: {help_text}" in capsys.readouterr().err
