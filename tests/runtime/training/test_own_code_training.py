"""Networks and trainings with code of a project's own, by their generated scripts."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

import wavetwin
from tests.runtime.training.test_processes import bits, finish, torchrun
from tests.support.built import build, write_images
from tests.support.forked import run_copy
from tests.support.own_code import change, own_project
from tests.support.paths import ROOT
from tests.support.scripted import only_run
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.runtime.process.freeze import freeze

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DRIVER = ROOT / "tests/support/killed.py"


def run(script: Path, *arguments: str, code: int = 0, driver: tuple[str, ...] = ()) -> str:
    """Run a script in a copy of this process, or by tests/support/killed.py; return what it wrote."""
    program = DRIVER if driver else script

    def start() -> None:
        started = [str(script), *driver] if driver else []
        sys.argv = [str(program), *started, "--device", "cpu", *arguments]
        runpy.run_path(str(program), run_name="__main__")

    found, output, errors = run_copy(start, {"OMP_NUM_THREADS": "1"}, timeout=240)
    assert found == code, output + errors
    return output + errors


def run_alone(script: Path, *arguments: str, code: int = 0) -> str:
    """Run a script of a standalone folder, in a process that has not imported another wavetwin."""
    command = [sys.executable, "-I", str(script), "--device", "cpu", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def trained(folder: Path) -> tuple[Path, bytes]:
    spec = own_project(folder)
    script = build(spec).folder / "train.py"
    run(script)
    return script, bits(spec.parent)


def test_a_killed_run_ends_with_the_same_bits_and_reads_without_its_project(tmp_path: Path):
    script, expected = trained(tmp_path / "whole")
    spec = own_project(tmp_path / "killed")
    killed = build(spec).folder / "train.py"
    for number in (3, 2):
        run(killed, "--checkpoint-steps", "1", code=-9, driver=("step", str(number)))
    run(killed)
    assert bits(spec.parent) == expected
    # What was trained is the copy, whatever the project has become.
    change(spec.parent / "own/windows.py", "(x, 2)", "(x, 2, 2)")
    run(killed.parent / "evaluate.py")
    found = only_run(spec.parent)
    lock = compile_spec(found / "spec.lock.yaml")
    assert (
        lock.training_digest == json.loads((found / "manifest.json").read_text())["training_digest"]
    )
    frozen = freeze(killed.parent)
    assert (frozen.folder / "project/own/windows.py").is_file()
    run(frozen.folder / "train.py", "--runs", str(tmp_path / "runs"))
    again = tmp_path / "runs/own" / found.name / "checkpoints/last/model.safetensors"
    assert again.read_bytes() == expected
    assert script.parent != killed.parent


def test_two_processes_train_it(tmp_path: Path):
    spec = own_project(tmp_path)
    script = build(spec).folder / "train.py"
    finish(torchrun(script))
    first = bits(spec.parent)
    finish(torchrun(script, "--new"))
    runs = sorted((spec.parent / "runs/own").iterdir())
    assert len(runs) == 2
    assert (runs[1] / "checkpoints/last/model.safetensors").read_bytes() == first


def test_a_standalone_folder_has_the_code_and_an_edited_copy_is_refused(tmp_path: Path):
    spec = own_project(tmp_path)
    folder = build(spec, standalone=True).folder
    run_alone(folder / "train.py", "--limit-batches", "1")
    change(folder / "project/own/blocks.py", "torch.zeros(1)", "torch.ones(1)")
    told = run_alone(folder / "train.py", "--limit-batches", "1", code=2)
    assert "script-modified" in told
    assert "project/own/blocks.py" in told


def test_an_exception_in_training_is_a_fault_with_its_line(tmp_path: Path):
    spec = own_project(tmp_path)
    line = "if x.device.type == 'cpu' and self.training: raise ArithmeticError('no block')"
    change(spec.parent / "own/blocks.py", "y = self.norm", f"{line}\n        y = self.norm")
    told = run(build(spec).folder / "train.py", code=2)
    assert "own/blocks.py: error: own-code-failed: raises ArithmeticError: no block" in told
    assert "  raised at: own/blocks.py:20, in forward: " in told
    assert "  from: own.yaml:12\n" in told


def test_a_loss_that_is_the_cross_entropy_trains_to_the_same_bits(tmp_path: Path):
    """Accumulated, mixed or killed in between; focal loss leads elsewhere."""
    found: dict[str, bytes] = {}
    code = "from torch.nn.functional import cross_entropy\n"
    for name, loss in (
        ("none", ""),
        ("function", "  loss: {file: own/losses.py, name: cross_entropy}\n"),
        ("focal", "  loss: {file: own/losses.py, name: focal, arguments: {gamma: 1.5}}\n"),
    ):
        spec = own_project(tmp_path / name)
        losses = spec.parent / "own/losses.py"
        losses.write_text(code + losses.read_text(encoding="utf-8"), encoding="utf-8")
        spec.write_text(
            "wavetwin: 1\ndata: {dataset: digits, validation: 437}\n"
            "backbone: {arch: sequential, input: image, layers: [{flatten: {}}, {linear: {}}]}\n"
            f"training:\n  epochs: 2\n  batch_size: 250\n  accumulate: 2\n  threads: 1\n{loss}",
            encoding="utf-8",
        )
        script = build(spec).folder / "train.py"
        if name == "function":
            run(script, "--checkpoint-steps", "1", code=-9, driver=("step", "3"))
        run(script)
        found[name] = bits(spec.parent)
    assert found["function"] == found["none"]
    assert found["focal"] != found["none"]


def test_transforms_draw_alike_whoever_reads_the_images_and_whenever(tmp_path: Path):
    """In the training's own process, in workers, and after a kill."""
    images = write_images(tmp_path / "images")
    found: list[bytes] = []
    for number, workers in enumerate(("0", "2", "2")):
        spec = own_project(tmp_path / str(number))
        spec.write_text(
            "wavetwin: 1\nbackbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}\n"
            "stem: {free_channels: 2}\ntraining: {epochs: 2, batch_size: 4, threads: 1}\n"
            "data:\n  {dataset: folder, num_classes: 2, image_size: 16, validation: 1, augmentation: "
            "[{module: {file: own/noise.py, name: Noise, arguments: {most: 30.0}}}]}\n",
            encoding="utf-8",
        )
        script = build(spec).folder / "train.py"
        options = ("--data-root", str(images), "--workers", workers)
        if number == 2:
            run(script, *options, "--checkpoint-steps", "1", code=-9, driver=("step", "3"))
        run(script, *options)
        found.append(bits(spec.parent))
    assert found[0] == found[1] == found[2]


def test_metrics_are_what_they_are_called_wherever_they_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By scripts, by two processes, by copies, for weights alone and in a notebook: the same numbers."""
    spec = own_project(tmp_path, "judged")
    folder = build(spec).folder
    run(folder / "train.py")
    assert "own metrics balanced and kappa: " in run(folder / "evaluate.py")
    assert "has scores already" in run(folder / "evaluate.py")
    (found,) = (spec.parent / "runs/judged").iterdir()

    def last() -> dict[str, float]:
        return json.loads((found / "scores.json").read_text())["scores"][-1]["scores"]["metrics"]

    expected = last()
    (table,) = (found / "predictions").glob("*.safetensors")
    columns = load_file(table)
    labels, classes = columns["labels"].numpy(), columns["classes"].numpy()
    balanced = balanced_accuracy_score(labels, classes, adjusted=True)
    assert expected["balanced"] == pytest.approx(balanced, abs=1e-12)
    assert expected["kappa"] == pytest.approx(cohen_kappa_score(labels, classes), abs=1e-6)
    assert "logits" not in columns
    finish(torchrun(folder / "evaluate.py", "--again"))
    record = json.loads((found / "scores.json").read_text())["scores"][-1]
    assert (record["launch"]["processes"], last()) == (2, expected)
    runs = ("--runs", str(spec.parent / "runs"), "--again")
    run(freeze(folder).folder / "evaluate.py", *runs)
    alone = tmp_path / "alone"
    shutil.copytree(build(spec, standalone=True).folder, alone)
    run_alone(alone / "evaluate.py", *runs)
    monkeypatch.chdir(spec.parent)
    weights = found / "checkpoints/last/model.safetensors"
    assert cli.main(["evaluate", str(weights), "--spec", "judged.yaml", "--out", "own.json"]) == 0
    scores = json.loads(Path("own.json").read_text(encoding="utf-8"))["scores"][-1]["scores"]
    assert scores["metrics"] == expected
    # A metric that is changed is evaluated again, and its fault is the user's.
    change(
        spec.parent / "own/metrics.py", "is_right = ", "assert len(labels) != 360\n    is_right = "
    )
    told = run(build(spec).folder / "evaluate.py", code=2)
    assert "own-code-failed: raises AssertionError" in told
    assert "raised at: own/metrics.py:8, in balanced_accuracy: assert len(labels) != 360" in told
    change(spec.parent / "own/metrics.py", "!= 360", "!= 361")
    judged = wavetwin.evaluate(wavetwin.compile(spec), no_git=True, device="cpu")
    assert judged.scores["one_crop.test.metrics.balanced"].value == expected["balanced"]
    records = json.loads((found / "scores.json").read_text())["scores"]
    assert [each["scores"]["metrics"] for each in records] == [expected] * len(records)
    assert len(records) == 5
