"""What training does when something goes wrong, and what it keeps."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from tests.support.plans import SGD, make_plan
from tests.support.scripted import PENALTY, build_folder, only_run, run_here
from wavetwin.diagnostics.codes import RUN_CODES
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.data import Batch, ExperimentData, load_data
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.process.random_streams import epoch_order
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.training.records import read_lines
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.train import TrainingRun
from wavetwin.runtime.training.training_batches import TrainingBatch


def train(project: Path, plan: TrainingPlan, *arguments: str) -> int:
    folder = project / "generated" / plan.name
    if not folder.exists():
        build_folder(project, plan)
    return run_here(folder / "train.py", "--device", "cpu", "--allow-drift", *arguments)


def manifest(project: Path) -> dict[str, Any]:
    return json.loads((only_run(project) / "manifest.json").read_text(encoding="utf-8"))


def test_the_batch_that_failed_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plan = make_plan(optimizer=replace(SGD, lr=1e30))
    assert train(tmp_path, plan) == 2
    (file,) = (only_run(tmp_path) / "failed").iterdir()
    message = capsys.readouterr().err
    assert f"the batch is in {file}" in message
    with safe_open(str(file), "pt") as opened:
        info = json.loads(opened.metadata()["failed_batch"])
    assert file.name == f"step-{info['step']:06d}-rank0.safetensors"
    assert f"in step {info['step']} (epoch {info['epoch']})" in message
    assert info["learning_rate"] == 1e30
    kept = load_file(file)
    data = load_data(plan)
    epoch, step = divmod(info["step"] - 1, data.steps_per_epoch)
    images, labels, positions = next(iter(data.training_batches(epoch, step)))
    assert torch.equal(kept["images"], data.normalise(images))
    assert torch.equal(kept["labels"], labels)
    assert torch.equal(kept["positions"], positions)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ask the run to stop after this step, as a signal does."""
    mark = RunFolder.mark_step

    def marked(self: RunFolder, number: int) -> None:
        mark(self, number)
        if number == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RunFolder, "mark_step", marked)


@pytest.mark.slow  # seconds of starting processes
def test_a_full_disk_keeps_the_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The limit of a file's size stands for the full disk: writing fails in the same way."""
    plan = make_plan(regularisation=PENALTY)
    whole, project = tmp_path / "whole", tmp_path / "full"
    assert train(whole, plan) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 6)
        assert train(project, plan) == 128 + 15
    last = only_run(project) / "checkpoints/last"
    before = {file.name: file.read_bytes() for file in last.iterdir()}
    script = str(project / "generated" / plan.name / "train.py")
    done = subprocess.run(
        [sys.executable, script, "--device", "cpu", "--allow-drift", "--checkpoint-steps", "2"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"the last good state is {last}; make room and start again" in done.stderr
    assert {file.name: file.read_bytes() for file in last.iterdir()} == before
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.safetensors", "last"]
    assert train(project, plan) == 0
    weights = "checkpoints/last/model.safetensors"
    assert (only_run(project) / weights).read_bytes() == (only_run(whole) / weights).read_bytes()


def test_the_best_weights_are_those_of_the_lowest_validation_error(tmp_path: Path):
    plan = make_plan(
        schedule=replace(make_plan().schedule, gamma=0.999), epochs=4, checkpoint_every=1
    )
    assert train(tmp_path, plan) == 0
    run = only_run(tmp_path)
    errors = [
        line["validation"]["top1_error"]
        for line in read_lines(run / "metrics.jsonl")
        if line["kind"] == "epoch"
    ]
    first_best = errors.index(min(errors)) + 1
    best = load_file(run / "checkpoints/best.safetensors")
    snapshot = load_file(run / f"checkpoints/epoch-{first_best:03d}.safetensors")
    assert all(torch.equal(best[name], value) for name, value in snapshot.items())
    with safe_open(str(run / "checkpoints/best.safetensors"), "pt") as opened:
        assert opened.metadata()["epoch"] == str(first_best)


def test_channels_last_trains_the_same_network(tmp_path: Path):
    plans = [make_plan(epochs=1, memory_format=f) for f in ("contiguous", "channels_last")]
    for number, plan in enumerate(plans):
        assert train(tmp_path / str(number), plan) == 0
    first, second = (
        load_file(only_run(tmp_path / str(n)) / "checkpoints/last/model.safetensors")
        for n in (0, 1)
    )
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-5)
    assert train(tmp_path / "1", plans[1], "--new") == 0


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scikit-learn's digits as PNG files, one of them cut off."""
    from sklearn.datasets import load_digits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels, labels = load_digits(return_X_y=True)
    root = tmp_path_factory.mktemp("images")
    for number in range(80):
        split = "train" if number < 60 else "test"
        file = root / split / str(labels[number]) / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels[number].reshape(8, 8) * 15).astype("uint8"), "L").save(file)
    damaged = next((root / "train/3").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:60])
    return root


FOLDER_PLAN = make_plan(
    dataset="folder", validation=0, training_images=None, iterations_per_epoch=None, epochs=2
)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_damaged_image_stops(
    workers: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--data-root", str(images), "--workers", workers]
    assert train(tmp_path, FOLDER_PLAN, *arguments) == 2
    message = capsys.readouterr().err
    damaged = sorted((images / "train/3").iterdir(), key=lambda file: file.stat().st_size)[0]
    assert str(damaged) in message
    assert "--on-bad-image skip" in message
    assert manifest(tmp_path)["lives"][0]["fault"] in RUN_CODES


def test_a_damaged_image_is_left_out(images: Path, tmp_path: Path):
    """The same run with and without reading processes; the record names the image."""
    results: list[bytes] = []
    for workers in ("0", "2"):
        project = tmp_path / workers
        arguments = ["--data-root", str(images), "--on-bad-image", "skip", "--workers", workers]
        assert train(project, FOLDER_PLAN, *arguments) == 0
        (name,) = manifest(project)["bad_images"]
        assert "train/3/" in name
        results.append((only_run(project) / "checkpoints/last/model.safetensors").read_bytes())
        epochs = [
            line
            for line in read_lines(only_run(project) / "metrics.jsonl")
            if line["kind"] == "epoch"
        ]
        assert len(epochs) == 2
    assert results[0] == results[1]


def test_a_validation_loss_that_is_not_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The only step of the epoch spoils the weights after its loss was computed."""
    plan = make_plan(optimizer=replace(SGD, lr=1e30))
    for _ in range(2):  # starting again ends in the same way
        assert train(tmp_path, plan, "--limit-batches", "1") == 2
        message = capsys.readouterr().err
        assert "the validation loss is not a finite number any more in step 1" in message
    assert [each["fault"] for each in manifest(tmp_path)["lives"]] == ["not-finite"] * 2
    assert [file.name for file in (only_run(tmp_path) / "failed").iterdir()] == [
        "step-000001-rank0.safetensors"
    ]


def test_a_state_that_is_not_finite_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    plan = make_plan()

    def spoil(self: TrainingRun, batch: TrainingBatch) -> None:
        finish(self, batch)
        if self.total_steps == 6:
            self.model.get_buffer("pool.norm.running_var")[0] = torch.inf

    finish = TrainingRun.finish_step
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "finish_step", spoil)
        assert train(tmp_path, plan, "--checkpoint-steps", "3") == 2
    message = capsys.readouterr().err
    last = only_run(tmp_path) / "checkpoints/last"
    assert "the value of pool.norm.running_var is not a finite number" in message
    assert f"the last good state is {last}" in message
    assert all(value.isfinite().all() for value in load_file(last / "model.safetensors").values())
    assert train(tmp_path, plan) == 0


@pytest.mark.slow  # seconds of starting processes
def test_a_signal_ends_validation_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan = make_plan()
    whole, project = tmp_path / "whole", tmp_path / "stopped"
    assert train(whole, plan) == 0
    batches = ExperimentData.evaluation_batches
    given = 0

    def interrupted(self: ExperimentData, *arguments: Any, **options: Any) -> Iterator[Batch]:
        nonlocal given
        for batch in batches(self, *arguments, **options):
            given += 1
            if given == 180:  # in the second epoch: 175 batches of 8 are 1400 images
                os.kill(os.getpid(), signal.SIGUSR1)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(ExperimentData, "evaluation_batches", interrupted)
        assert train(project, plan) == 128 + signal.SIGUSR1
    assert given == 180
    session = manifest(project)["lives"][0]
    assert (session["outcome"], session["last_step"]) == ("stopped", 10)
    assert train(project, plan) == 0
    weights = "checkpoints/last/model.safetensors"
    assert (only_run(project) / weights).read_bytes() == (only_run(whole) / weights).read_bytes()


def test_a_batch_of_damaged_images_is_a_step_without_an_update(tmp_path: Path, images: Path):
    """60 images in batches of 59 leave one by itself; in some epoch it is the damaged one."""
    plan = replace(FOLDER_PLAN, batch_size=59, epochs=1)
    damaged = sorted((images / "train/3").iterdir(), key=lambda file: file.stat().st_size)[0]
    files = sorted((images / "train").glob("*/*.png"))
    position = files.index(damaged)
    seed = next(
        seed for seed in range(1000) if int(epoch_order(seed, 0, len(files))[-1]) == position
    )
    plan = replace(plan, seed=seed)
    arguments = ["--data-root", str(images), "--on-bad-image", "skip"]
    assert train(tmp_path, plan, *arguments) == 0
    (name,) = manifest(tmp_path)["bad_images"]
    assert name.endswith(damaged.name)
    assert manifest(tmp_path)["lives"][0]["last_step"] == 2


def test_processes_that_see_different_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Others(Processes):
        def gather(self, value: Any) -> list[Any]:
            return [value, (0, 0)]

    plan = make_plan()
    assert train(tmp_path, replace(plan, epochs=1)) == 0
    folder = tmp_path / "generated" / plan.name
    graph = ModuleGraph.from_text((folder / "graph.json").read_text(encoding="utf-8"))
    arguments = parse_arguments("", training=True, arguments=["--device", "cpu"])
    run = RunFolder(only_run(tmp_path), {}, None, arguments, RunProvenance({}, "", ()))
    data = load_data(plan)
    monkeypatch.setattr(TrainingRun, "_restore", lambda self: setattr(self, "epoch", 1))
    with pytest.raises(RunError, match="the processes see other states"):
        TrainingRun(
            run,
            plan,
            graph,
            data,
            torch.nn.Linear(1, 1),
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]),
            LearningRate(plan, torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]), 5),
            torch.device("cpu"),
            Others(rank=1, count=2),
        )
