"""`wavetwin runs` as a user meets it."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write, write_run
from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.explain.runs import find_run, open_index
from wavetwin.explain.runs.scores import read_scores
from wavetwin.explain.runs.select import find_score, parse_condition
from wavetwin.runtime.process.errors import RunError


@pytest.fixture(scope="module")
def specs() -> dict[str, Compiled]:
    return {name: compile_spec(ROOT / f"specs/digits/{name}.yaml") for name in ("cnn", "twin")}


def add(project: Path, compiled: Compiled, seed: int, error: float, **changes: Any) -> Path:
    rates = {"flip_rate": {"1": error / 2, "2": error}, "mean_flip_rate": 0.75 * error}
    scores = [
        record({**ONE_CROP, "split": "validation"}, {"top1_error": 0.9}),
        record({**ONE_CROP, "mode": "ten_crops"}, {"top1_error": 2 * error}),
        record(ONE_CROP, {"loss": 0.5, "top1_error": error}, intervals={"top1_error": [0.0, 0.9]}),
        record(shift_entry("diagonal", "flip_rate"), rates),
    ]
    return write_run(
        project / "runs",
        replace(compiled.plan, seed=seed),
        scores,
        [epoch(seed + 1, 1.0, None)],
        dump_spec(compiled.resolved),
        **changes,
    )


@pytest.fixture
def project(tmp_path: Path, specs: dict[str, Compiled], monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    add(tmp_path, specs["cnn"], 0, 0.0625)
    add(tmp_path, specs["cnn"], 1, 0.25, status="failed", dirty=True, drift=["script-modified"])
    add(tmp_path, specs["twin"], 0, 0.125)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Experiment and seed of the runs that a list shows."""
    assert cli.main(["runs", "list", "--json", *arguments]) == 0
    return [f"{run['name']} {run['seed']}" for run in json.loads(capsys.readouterr().out)]


def test_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", "list"]) == 0
    done = capsys.readouterr()
    assert done.err == ""
    header, first, second, third = (line.split() for line in done.out.splitlines())
    assert header == ["run", "status", "epochs", "top-1", "error", "commit", "started", "marks"]
    assert first[0].startswith("cnn/")
    assert first[1:] == ["finished", "1", "0.0625", "c" * 8, "2026-01-02", "03:00"]
    assert second[1:4] == ["failed", "2", "0.2500"]
    assert second[-2:] == ["dirty,", "script-modified"]
    assert third[0].startswith("twin/")
    assert cli.main(["runs", "list", "--sort", "top1_error", "--score", "flip_rate.2>0"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header[3:6] == ["top-1", "error", "flip_rate.2"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["cnn 0", "cnn 1", "twin 0"]),
        (("--tag", "twin"), ["twin 0"]),
        (("--tag", "digits", "--tag", "cnn"), ["cnn 0", "cnn 1"]),
        (("--name", "t*"), ["twin 0"]),
        (("--status", "finished"), ["cnn 0", "twin 0"]),
        (("--digest", "CNN-MODEL"), ["cnn 0", "cnn 1"]),
        (("--digest", "TWIN-TRAINING"), ["twin 0"]),
        (("--digest", "f" * 64), []),
        (("--where", "stem.wavelet.levels>=2"), ["twin 0"]),
        (("--where", "stem.wavelet.levels=null"), ["cnn 0", "cnn 1"]),
        (("--where", "stem.wavelet.levels != 2"), ["cnn 0", "cnn 1"]),
        (("--where", "training.optimizer.momentum=9e-1"), ["cnn 0", "cnn 1", "twin 0"]),
        (("--where", "training.optimizer.momentum<0.9"), []),
        (("--where", "training.record_gradients=1"), []),
        (("--where", "pooling.wavelet=max"), ["twin 0"]),
        (("--where", "tags=[digits, twin]"), ["twin 0"]),
        (("--score", "top1_error<0.2"), ["cnn 0", "twin 0"]),
        (("--score", "ten_crops.top1_error>=0.25"), ["cnn 1", "twin 0"]),
        (("--score", "validation.top1_error>0.8"), ["cnn 0", "cnn 1", "twin 0"]),
        (("--score", "diagonal.flip_rate.1=0.0625"), ["twin 0"]),
        (("--score", "top1_error<0.2", "--name", "cnn"), ["cnn 0"]),
        (("--sort", "top1_error"), ["cnn 0", "twin 0", "cnn 1"]),
        (("--sort=-top1_error",), ["cnn 1", "twin 0", "cnn 0"]),
        (("--sort=-epochs",), ["cnn 1", "cnn 0", "twin 0"]),
    ],
)
def test_filters(
    project: Path,
    specs: dict[str, Compiled],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    expected: list[str],
) -> None:
    digests = {
        "CNN-MODEL": specs["cnn"].plan.model_digest[:12].upper(),
        "TWIN-TRAINING": specs["twin"].plan.training_digest[:7],
    }
    assert listed(capsys, *(digests.get(word, word) for word in arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--where", "training.optimiser.lr=1"), "did you mean 'training.optimizer.lr'?"),
        (("--where", "training.optimizer.lr"), "is not a condition"),
        (("--where", "pooling.wavelet<max"), "max is not a number"),
        (("--score", "top1_error<small"), "small is not a number"),
        (("--score", "top1_eror<1"), "did you mean 'top1_error'?"),
        (("--sort", "speed"), "no run has a score 'speed'"),
        (("--runs", "nowhere"), "there is no folder nowhere"),
    ],
)
def test_filters_that_make_no_sense(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert cli.main(["runs", "list", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_nothing_to_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".wavetwin.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["runs", "list"]) == 0
    assert "no runs yet" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs").mkdir()
    assert cli.main(["runs", "list", "--status", "running"]) == 0
    assert capsys.readouterr() == ("", "no runs yet\n")
    assert cli.main(["runs", "list", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = next(project.glob("runs/cnn/*-s1"))
    build = {"spec": "specs/digits/cnn.yaml", "overrides": ["training.seed=1"]}
    write(folder / "build.json", build)
    assert cli.main(["runs", "show", "cnn/" + folder.name]) == 0
    text = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "status failed" in lines
    assert "marks dirty, script-modified" in lines
    assert "one_crop.test.top1_error 0.2500 [0.0000, 0.9000]" in lines
    assert "training.optimizer.momentum 0.9" in lines
    session = "1 1 to 10 2026-01-02T03:00:00+00:00 2026-01-02T03:04:00+00:00 finished cpu "
    assert session + "train.py --device cpu" in lines
    assert any(line.startswith("scores.json ") and line.endswith(" bytes") for line in lines)
    commit, digest = "c" * 40, json.loads((folder / "manifest.json").read_text())["digest"]
    assert lines[-4:] == [
        f"git worktree add ../at-cccccccc {commit} && cd ../at-cccccccc",
        "git apply PATCH # inputs.patch of the folder that the run was built in",
        "wavetwin build specs/digits/cnn.yaml --set training.seed=1 --allow-dirty",
        f"python generated/cnn@seed=1-{digest[:8]}/train.py --device cpu",
    ]
    assert cli.main(["runs", "show", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"]["one_crop.test.top1_error"] == {
        "value": 0.25, "low": 0.0, "high": 0.9,
    }  # fmt: skip
    assert document["tags"] == ["digits", "cnn"]


def test_ways_to_name_a_run(project: Path, specs: dict[str, Compiled]) -> None:
    runs = project / "runs"
    with open_index(runs) as (index, _):
        (twin,) = index.paths("name = 'twin'")
        for text in (twin, twin + "/", "twin", "tw", specs["twin"].plan.model_digest[:10]):
            assert find_run(index, text, runs).path == twin
        assert find_run(index, str(runs / twin), runs).path == twin
        with pytest.raises(RunError, match=r"'cnn' means several runs: cnn/\S+-s0, cnn/\S+-s1"):
            find_run(index, "cnn", runs)
        for text in ("absent", "", "/"):
            with pytest.raises(RunError, match="no run in"):
                find_run(index, text, runs)
        shutil.copytree(runs / twin, project / "elsewhere/runs/twin/x")
        with pytest.raises(RunError, match="is not below") as error:
            find_run(index, str(project / "elsewhere/runs/twin/x"), runs)
        assert error.value.remedy == f"--runs {project / 'elsewhere/runs'}"


def test_compare(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (next(project.glob(f"runs/{name}/*-s0")) for name in ("cnn", "twin"))
    assert cli.main(["runs", "compare", str(first), str(second)]) == 0
    text = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"spec cnn/{first.name} twin/{second.name}" in lines
    assert "stem.free_channels 24 8" in lines
    assert "stem.wavelet.levels 2" in lines
    assert "info: no difference" in lines
    assert not any(line.startswith("training.optimizer.lr") for line in lines)
    assert "one_crop.test.top1_error 0.0625 [0.0000, 0.9000] 0.1250 [0.0000, 0.9000]" in lines
    assert cli.main(["runs", "compare", "--json", str(first), str(second)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fields"]["stem.wavelet.levels"] == [None, 2]
    assert cli.main(["runs", "compare", str(first)]) == 2
    assert "two runs or more" in capsys.readouterr().err


def test_run_without_a_copy_of_its_spec(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = next(project.glob("runs/cnn/*-s0"))
    (old / "spec.lock.yaml").unlink()
    assert listed(capsys) == ["cnn 0", "cnn 1", "twin 0"]
    assert listed(capsys, "--tag", "digits") == ["cnn 1", "twin 0"]
    assert cli.main(["runs", "compare", str(old), "twin"]) == 0
    assert f"without a copy of their spec: cnn/{old.name}" in capsys.readouterr().out


def test_reindex_and_messages(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("foreign/pictures", "foreign/tables", "cnn/frozen/0123abcd", "digits/frozen/1"):
        (project / "runs" / folder).mkdir(parents=True)
    (project / "runs/study").mkdir()
    (project / "runs/study/report.html").touch()
    assert cli.main(["runs", "reindex", "--project", str(project)]) == 0
    done = capsys.readouterr()
    assert done.out == f"3 runs indexed in {project / 'runs'}\n"
    assert done.err == f"{project / 'runs/foreign'}: not in the index: it has no manifest.json\n"


def test_filters_see_the_records_that_count(
    project: Path, specs: dict[str, Compiled], capsys: pytest.CaptureFixture[str]
) -> None:
    """Later trials, and other weights, take no result's place; alone, they are marked."""
    marked = {"limit_batches": 3, "checkpoint": "epoch-002", "skipped": 1}
    trials = [
        record(ONE_CROP, {"top1_error": 0.5}),
        *(record(ONE_CROP, {"top1_error": 0.0}, **{name: marked[name]}) for name in marked),
    ]
    plan = replace(specs["twin"].plan, seed=5, name="result")
    write_run(project / "runs", plan, trials)
    write_run(
        project / "runs",
        replace(plan, name="trial"),
        [record(ONE_CROP, {"top1_error": 0.001}, **marked)],
    )
    assert listed(capsys, "--score", "top1_error=0.5") == ["result 5"]
    assert listed(capsys, "--score", "top1_error<0.01") == ["trial 5"]
    assert listed(capsys, "--score", "epoch-002.top1_error<0.01") == ["trial 5"]
    assert cli.main(["runs", "show", "trial"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "one_crop.test.limit_3.epoch-002.skipped.top1_error 0.0010" in lines
    marks = "scores of 3 batches, scores of epoch-002 weights, scores without damaged images"
    assert f"marks {marks}" in lines
    assert cli.main(["runs", "list", "--name", "[rt][er]*"]) == 0
    _, result, trial = capsys.readouterr().out.splitlines()
    assert marks not in result
    assert trial.endswith(marks)


def test_no_two_entries_have_the_same_score_names(project: Path) -> None:
    rates = {"flip_rate": {"1": 0.5}, "mean_flip_rate": 0.5}
    entries = [
        *(shift_entry("diagonal", "flip_rate", max_step=step) for step in (1, 2)),
        *({"mode": "corruptions", "root": root} for root in ("C.bar", "C_bar")),
    ]
    scores = [record(entry, rates) for entry in entries]
    write(project / "scores.json", {"wavetwin_scores": 1, "scores": scores})
    found, marks = read_scores(project / "scores.json")
    assert [score.name for score in found if score.name.endswith("mean_flip_rate")] == [
        "shifts.test.diagonal.2px.steps_to_1.mean_flip_rate",
        "shifts.test.diagonal.2px.mean_flip_rate",
        "corruptions.C.bar.mean_flip_rate",
        "corruptions.C_bar.mean_flip_rate",
    ]
    assert marks == []


def test_conditions_and_score_names() -> None:
    condition = parse_condition("a.b <= 1e-3")
    assert (condition.name, condition.comparison, condition.value) == ("a.b", "<=", 0.001)
    assert parse_condition("a='1'").value == "1"
    assert parse_condition("a==true").holds(True)
    assert not parse_condition("a=true").holds(1)
    assert not parse_condition("a=1").holds(True)
    assert not parse_condition("a<2").holds("1")
    assert find_score("top1_error", []) is None


def test_no_torch_is_imported(project: Path) -> None:
    code = (
        "import sys; from wavetwin.commands.cli import main; assert main(['runs', 'list']) == 0;"
        "assert not {'torch', 'numpy', 'pydantic', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=project, check=True)


def test_the_study_reports_what_it_has_just_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not whatever else lies below the names of its experiments."""
    study = importlib.import_module("benchmarks.mnist_study")
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(study, "command", lambda *arguments: commands.append(arguments))
    monkeypatch.setattr(study, "REPORT", tmp_path / "study/report.html")
    monkeypatch.setattr(sys, "argv", ["mnist_study.py"])
    study.main()
    trained: list[str] = []
    for name, spec, *options in commands[1:-1]:
        assert name == "run"
        compiled = compile_spec(ROOT / spec, [options[1]])
        assert options[1] == f"training.seed={compiled.plan.seed}"
        folder = f"{compiled.training_digest[:8]}-s{compiled.plan.seed}"
        trained.append(f"runs/{compiled.name}/{folder}")
    assert len(trained) == len(set(trained)) == 15
    name, *runs = commands[-1][: 1 + len(trained)]
    assert name == "report"
    assert sorted(runs) == sorted(trained)
    assert commands[-1][1 + len(trained)] == "--paired"
