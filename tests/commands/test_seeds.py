"""Several seeds of one experiment: what is built and started, skipped, and said when it stops."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from wavetwin.commands import child, cli
from wavetwin.commands.seeds import main, parse_seeds, run_seeds
from wavetwin.diagnostics import CompileError
from wavetwin.files.child_python import module_command
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.seed_list import train_seeds

SPEC = "extends: wavetwin:digits/cnn.yaml\ntraining: {seed: 1}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "a.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Started:
    """Stands for the scripts: notes each command, and ends as it is told to."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        return self.codes.pop(0) if self.codes else 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-4,7", (0, 1, 2, 3, 4, 7)),
        ("3", (3,)),
        ("2, 0-2", (2, 0, 1)),
        ("0-999", tuple(range(1000))),
    ],
)
def test_lists_of_seeds(text: str, expected: tuple[int, ...]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "4-0", "-1", "a", "1,", "0-1000", "0-998,2000-2001", "1-2-3", str(2**63), "\u0663"]
)
def test_what_is_no_list_of_seeds(text: str, project: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        parse_seeds(text)
    with pytest.raises(SystemExit):
        cli.main(["run", "a.yaml", f"--seeds={text}"])


def test_each_seed_is_built_before_the_first_one_trains(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = Started(0, 0, 0, 130)
    monkeypatch.setattr(child, "run_child", started)
    arguments = ["run", "a.yaml", "--no-git", "--seeds", "1-2,0", "--", "--device", "cpu"]
    assert cli.main(arguments) == 130
    folders = [Path(command[1]).parent for command in started.commands]
    names = [folder.name.rpartition("-")[0] or folder.name for folder in folders]
    # Its own seed is the spec as it stands.
    assert names == ["a", "a", "a@seed=2", "a@seed=2"]
    assert [Path(command[1]).name for command in started.commands] == [
        "train.py",
        "evaluate.py",
    ] * 2
    assert all(command[2:] == ["--device", "cpu"] for command in started.commands)
    built = sorted(
        path.name.rpartition("-")[0] or path.name for path in (project / "generated").iterdir()
    )
    assert built == ["a", "a@seed=0", "a@seed=2"]
    plans = [json.loads((folder / "plan.json").read_text(encoding="utf-8")) for folder in folders]
    assert [plan["seed"] for plan in plans] == [1, 1, 2, 2]
    message = capsys.readouterr().err
    assert "seed 2 ended with exit code 130; finished: 1; left: 2, 0;" in message


def test_a_built_folder_trains_further_seeds_as_it_was_built(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["build", "a.yaml", "--no-git", "--set", "training.epochs=5"]) == 0
    (folder,) = (project / "generated").iterdir()
    started = Started()
    monkeypatch.setattr(child, "run_child", started)
    assert main(folder, (0, 1), ["--workers", "0"]) == 0
    first, second = (Path(command[1]).parent for command in started.commands)
    assert second == folder
    assert first.name.startswith("a@epochs=5,seed=0-")
    plan = json.loads((first / "plan.json").read_text(encoding="utf-8"))
    assert (plan["seed"], plan["epochs"]) == (0, 5)
    assert [command[2:] for command in started.commands] == [["--workers", "0"]] * 2
    with pytest.raises(CompileError, match="bad-argument"):
        main(folder, (0,), ["--allow-drift"])
    (project / "a.yaml").write_text(
        SPEC.replace("seed: 1", "seed: 1, batch_size: 32"), encoding="utf-8"
    )
    with pytest.raises(CompileError, match="run-differs"):
        main(folder, (0,), [])
    (project / "a.yaml").unlink()
    with pytest.raises(CompileError, match="file-not-found"):
        main(folder, (0,), [])


def test_a_script_becomes_the_process_that_trains_the_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: became.append(command))
    monkeypatch.delenv("RANK", raising=False)
    given = ["--workers", "0", "--seeds", "0-4", "--seeds=0-4", "--device=cpu"]
    train_seeds(Path("generated/a"), "0-4", given)
    left = ("generated/a", "0-4", "--workers", "0", "--device=cpu")
    assert became == [module_command("wavetwin.commands.seeds", *left)]
    with pytest.raises(RunError, match="several processes"):
        train_seeds(Path("generated/a"), "0-4", given, {"RANK": "0"})
    assert len(became) == 1


def test_the_first_fault_stops_the_others(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    code = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit(int(sys.argv[2]) * 3)"

    def scripts(folder: Path) -> list[list[str]]:
        return [[sys.executable, "-c", code, str(noted), folder.name]]

    assert run_seeds({each: tmp_path / str(each) for each in (0, 1, 2)}, scripts) == (3, ())
    assert noted.read_text(encoding="utf-8") == "01"


@pytest.mark.slow
def test_seeds_train_are_skipped_when_finished_and_resume(project: Path) -> None:
    arguments = ["run", "a.yaml", "--no-git", "--set", "training.epochs=2", "--seeds", "0-1", "--"]
    arguments += ["--limit-batches", "1", "--device", "cpu"]
    assert cli.main(arguments) == 0
    runs = sorted((project / "runs" / "a").iterdir())
    assert [path.name.split("-", 1)[1] for path in runs] in (
        ["s0-limit1", "s1-limit1"], ["s1-limit1", "s0-limit1"],
    )  # fmt: skip
    saved = {path: path.read_bytes() for path in (project / "runs").rglob("*.safetensors")}
    assert len(saved) >= 2
    (one,) = [path for path in (project / "generated").iterdir() if "seed=0" in path.name]
    done = child.run_child(
        [
            sys.executable,
            str(one / "train.py"),
            "--seeds",
            "0-1",
            "--limit-batches",
            "1",
            "--device",
            "cpu",
        ]
    )
    assert done == 0
    assert {path: path.read_bytes() for path in (project / "runs").rglob("*.safetensors")} == saved
