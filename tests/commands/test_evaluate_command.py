"""`wavetwin evaluate`: weights from anywhere, a spec, and a scores file of scores."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import wavetwin
from tests.commands.test_cli import make_repository
from wavetwin.commands import cli
from wavetwin.runtime.data.class_record import check_class_order
from wavetwin.runtime.process.errors import RunError

SPEC = """\
wavetwin: 1
name: tiny
backbone:
  arch: sequential
  layers:
    - flatten: {}
    - linear: {}
stem: {free_channels: 8, kernel_size: 3, stride: 2, norm: batch}
data: {dataset: digits, image_size: 12}
training: {batch_size: 100}
evaluation:
  - {mode: one_crop}
  - {mode: shifts, direction: diagonal, max_shift: 2}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "tiny.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model = wavetwin.build_model(wavetwin.compile("tiny.yaml"))
    save_file(model.state_dict(), tmp_path / "tiny.safetensors")
    return tmp_path


def test_scores_are_added_beside_the_weights(project: Path, capsys: pytest.CaptureFixture[str]):
    make_repository(project)
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--device", "cpu"]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("one crop, test: loss ")
    assert lines[1].startswith("shifts, test, diagonal, flip rate, up to 2 px: flip rate 1: ")
    assert lines[2] == "scores: tiny.safetensors.scores.json"
    scores_file = project / "tiny.safetensors.scores.json"
    records = json.loads(scores_file.read_text(encoding="utf-8"))["scores"]
    weights = hashlib.sha256((project / "tiny.safetensors").read_bytes()).hexdigest()
    compiled = wavetwin.compile("tiny.yaml")
    for record in records:
        assert (record["weights"], record["digest"]) == (weights, compiled.digest)
        assert (record["spec"], record["images"]) == ("tiny.yaml", 360)
        assert len(record["commit"]) == 40
        assert len(record["data"]) == 64
        table = load_file(project / record["predictions"])
        assert len(table["positions"]) == 360
    # A second time adds; the earlier records stay as they were.
    assert cli.main([*arguments, "--set", "evaluation=[{mode: one_crop}]"]) == 0
    again = json.loads(scores_file.read_text(encoding="utf-8"))["scores"]
    assert again[:2] == records
    assert again[2]["scores"] == records[0]["scores"]
    assert again[2]["overrides"] == ["evaluation=[{mode: one_crop}]"]


def test_nothing_is_evaluated_uncompiled_that_is_to_be_compiled(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--compile"]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert "compiler-missing: --compile needs a C++ compiler, and no-such-compiler is not" in error
    assert "help: install one, name it in CXX, or evaluate without --compile" in error
    assert not (project / "tiny.safetensors.scores.json").exists()


@pytest.mark.slow  # minutes of a compiler
@pytest.mark.timeout(900)
def test_a_compiled_evaluation_gives_the_scores(project: Path):
    """In a process of its own: the checks that tests add stop the compiler."""
    scores: list[dict[str, Any]] = []
    for options in ([], ["--compile"]):
        command = [sys.executable, "-m", "wavetwin", "evaluate", "tiny.safetensors", "--spec"]
        command += ["tiny.yaml", "--device", "cpu", "--limit-batches", "2", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
        assert done.returncode == 0, done.stderr
        records = json.loads((project / "tiny.safetensors.scores.json").read_text())["scores"][-2:]
        assert [record["options"] for record in records] == [["--device", "cpu", *options]] * 2
        scores.append(records[0]["scores"])
    assert scores[0].keys() == scores[1].keys()
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


def test_without_a_repository_there_is_no_commit(project: Path):
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--limit-batches", "1"]
    assert cli.main([*arguments, "--out", "book.json"]) == 0
    records = json.loads((project / "book.json").read_text(encoding="utf-8"))["scores"]
    assert [record["commit"] for record in records] == [None, None]
    assert [record["images"] for record in records] == [100, 100]
    assert all((project / record["predictions"]).is_file() for record in records)


def test_weights_of_another_model_are_refused(project: Path, capsys: pytest.CaptureFixture[str]):
    tensors = load_file(project / "tiny.safetensors")
    name = next(name for name in tensors if tensors[name].shape[:1] == (10,))
    save_file(tensors | {name: torch.zeros(11, *tensors[name].shape[1:])}, "other.safetensors")
    assert cli.main(["evaluate", "other.safetensors", "--spec", "tiny.yaml"]) == 2
    error = capsys.readouterr().err
    assert "the weights are not those of tiny (other.safetensors)" in error
    assert not Path("other.safetensors.scores.json").exists()
    del tensors[name]
    save_file(tensors, "less.safetensors")
    assert cli.main(["evaluate", "less.safetensors", "--spec", "tiny.yaml"]) == 2
    assert f"missing: {name}" in capsys.readouterr().err


def test_faults_are_said_before_anything_is_computed(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml"]
    (project / "scores.json").write_text('{"a": 1}', encoding="utf-8")
    assert cli.main([*arguments, "--out", "scores.json"]) == 2
    assert (
        "scores.json: error: file-damaged: is damaged: it is no scores file of this version"
        in capsys.readouterr().err
    )
    assert (project / "scores.json").read_text(encoding="utf-8") == '{"a": 1}'
    assert cli.main([*arguments, "--out", "nowhere/scores.json"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err
    assert cli.main(["evaluate", "nothing.safetensors", "--spec", "tiny.yaml"]) == 2
    assert "nothing.safetensors: error: file-not-found: is not there" in capsys.readouterr().err


def test_entry_that_fails_leaves_the_others(project: Path, capsys: pytest.CaptureFixture[str]):
    suite = "evaluation=[{mode: corruptions, root: imagenet-c}, {mode: one_crop}]"
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--data-root", "."]
    assert cli.main([*arguments, "--set", suite]) == 2
    assert (
        "imagenet-c: error: data-set-missing: is not there\n  in: corruptions, imagenet-c"
        in capsys.readouterr().err
    )
    scores_file = project / "tiny.safetensors.scores.json"
    records = json.loads(scores_file.read_text(encoding="utf-8"))["scores"]
    assert [record["entry"]["mode"] for record in records] == ["one_crop"]


def test_baseline_is_a_book(project: Path, capsys: pytest.CaptureFixture[str]):
    frame = Image.new("L", (12, 12))
    for number in range(10):
        video = project / "p/tilt" / str(number) / "a"
        video.mkdir(parents=True)
        for position in range(4):
            frame.putpixel(((5 * number + position) % 12, (7 * position) % 12), 255)
            frame.save(video / f"{position}.png")
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--data-root", "."]
    arguments += ["--set", "evaluation=[{mode: perturbations, root: p}]"]
    assert cli.main([*arguments, "--out", "first.json"]) == 0
    assert cli.main([*arguments, "--out", "second.json", "--baseline", "first.json"]) == 0
    (record,) = json.loads((project / "second.json").read_text(encoding="utf-8"))["scores"]
    assert record["scores"]["mfr"] == pytest.approx(100)
    assert record["scores"]["mt5d"] == pytest.approx(100)
    assert record["scores"]["baseline"] == f"first.json, weights {record['weights'][:12]}"
    # Scores of a few batches are no baseline, and do not hide those of all.
    assert cli.main([*arguments, "--out", "few.json", "--limit-batches", "1"]) == 0
    capsys.readouterr()
    assert cli.main([*arguments, "--baseline", "few.json"]) == 2
    assert "those that are there are of a few batches" in capsys.readouterr().err
    assert cli.main([*arguments, "--out", "first.json", "--limit-batches", "1"]) == 0
    assert cli.main([*arguments, "--out", "third.json", "--baseline", "first.json"]) == 0
    (third,) = json.loads((project / "third.json").read_text(encoding="utf-8"))["scores"]
    assert third["scores"] == record["scores"]
    # Nor are those of other files.
    frame.save(project / "p/tilt/3/a/9.png")
    capsys.readouterr()
    assert cli.main([*arguments, "--out", "fourth.json", "--baseline", "first.json"]) == 2
    assert "'perturbations, p' in first.json are of other files" in capsys.readouterr().err
    assert not (project / "fourth.json").exists()
    arguments[-1] = "evaluation=[{mode: one_crop}]"
    assert cli.main([*arguments, "--baseline", "first.json"]) == 2
    assert "--baseline is for corruptions and perturbations" in capsys.readouterr().err
    arguments[-1] = "evaluation=[{mode: perturbations, root: q}]"
    assert cli.main([*arguments, "--baseline", "first.json"]) == 2
    assert (
        "first.json: error: scores-missing: has no scores of 'perturbations, q'"
        in capsys.readouterr().err
    )


def test_a_folder_of_test_images_alone_is_evaluated(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    """Two of four images are dark; the network, whose bias alone counts, calls everything dark."""
    spec = SPEC.replace(
        "{dataset: digits, image_size: 12}", "{dataset: folder, num_classes: 2, IN}"
    )
    spec = spec.replace("IN", "normalise: none, image_size: 12").split("evaluation:")[0]
    (project / "two.yaml").write_text(f"{spec}evaluation: [{{mode: one_crop}}]\n", encoding="utf-8")
    for label, light in (("bright", 200), ("dark", 20)):
        (project / "images" / "val" / label).mkdir(parents=True)
        for number in range(2):
            image = Image.new("RGB", (14, 15), (light, light, light + number))
            image.save(project / "images" / "val" / label / f"{number}.png")
    state = wavetwin.build_model(wavetwin.compile("two.yaml")).state_dict()
    last = [name for name in state if state[name].shape[:1] == (2,)]
    state |= {name: torch.zeros_like(state[name]) for name in last}
    state[next(name for name in last if name.endswith("bias"))][1] = 1.0
    save_file(state, project / "two.safetensors")
    where = ["--device", "cpu", "--data-root", "images"]
    assert cli.main(["evaluate", "two.safetensors", "--spec", "two.yaml", *where]) == 0
    scores = Path("two.safetensors.scores.json")
    (record,) = json.loads(scores.read_text(encoding="utf-8"))["scores"]
    assert (record["images"], record["scores"]["top1_error"]) == (4, 0.5)
    capsys.readouterr()
    assert cli.main(["report", str(scores)]) == 0
    again = "wavetwin evaluate two.safetensors --spec two.yaml --device cpu --data-root images"
    assert again in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_a_damaged_manifest_beside_the_weights_is_named(
    damage: str, project: Path, capsys: pytest.CaptureFixture[str]
):
    (project / "manifest.json").write_text(damage, encoding="utf-8")
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--limit-batches", "1"]
    assert cli.main(arguments) == 2
    assert "manifest.json" in capsys.readouterr().err
    for record in (5, "ab", [1]):
        with pytest.raises(RunError, match=r"manifest\.json is damaged: class_names"):
            check_class_order({"class_names": record}, ["a", "b"], project)


def test_own_metrics_are_computed_and_their_faults_are_the_users(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    (project / "own").mkdir()
    file = project / "own" / "metrics.py"
    file.write_text("def share(logits, labels):\n    return 1 / (len(labels) - 100)\n")
    spec = SPEC.replace(
        "{mode: one_crop}",
        "{mode: one_crop, metrics: [{name: own, module: {file: own/metrics.py, name: share}}]}",
    )
    (project / "tiny.yaml").write_text(spec, encoding="utf-8")
    arguments = ["evaluate", "tiny.safetensors", "--spec", "tiny.yaml", "--device", "cpu"]
    assert cli.main(arguments) == 0
    assert f"metrics own: {1 / 260:.4f}, 360 images" in capsys.readouterr().out
    scores_file = project / "tiny.safetensors.scores.json"
    records = json.loads(scores_file.read_text(encoding="utf-8"))["scores"]
    assert records[0]["scores"]["metrics"] == {"own": 1 / 260}
    assert "own" not in records[0]["intervals"]
    # The entry is left out, and the other one is not.
    assert cli.main([*arguments, "--limit-batches", "1"]) == 2
    told = capsys.readouterr().err
    assert (
        "metric own (share of own/metrics.py): error: own-code-failed: raises ZeroDivisionErr"
        in told
    )
    assert "  raised at: own/metrics.py:2, in share: return 1 / (len(labels) - 100)\n" in told
    assert "  from: evaluation.0.metrics.0.module\n  in: one crop, test, own metrics own\n" in told
    assert len(json.loads(scores_file.read_text(encoding="utf-8"))["scores"]) == 3
    damaged = scores_file.read_text(encoding="utf-8").replace('"files": {', '"arguments": {', 1)
    scores_file.write_text(damaged, encoding="utf-8")
    assert cli.main(arguments) == 2
    assert "file-damaged" in capsys.readouterr().err
