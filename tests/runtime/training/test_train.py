"""Training by the generated script: repeated and resumed runs are equal bit for bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.optim import lr_scheduler as scheduler

from tests.support import killed
from tests.support.forked import run_copy
from tests.support.plans import ADAMW, SGD, STEP, make_plan, version_1
from tests.support.scripted import PENALTY, build_folder, only_run, run_here
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.ir.parameter_groups import ParameterGroup
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Linear,
    Milestones,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
)
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.records import read_gradients, read_lines
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.train import TrainingRun

AVERAGE = "checkpoints/last/average.safetensors"


class CrashError(Exception):
    pass


def weights(project: Path) -> bytes:
    return (only_run(project) / "checkpoints/last/model.safetensors").read_bytes()


def metrics(project: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    lines = list(read_lines(only_run(project) / name))
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def sessions(project: Path) -> list[dict[str, Any]]:
    return json.loads((only_run(project) / "manifest.json").read_text())["lives"]


def train(project: Path, plan: TrainingPlan, *arguments: str) -> int:
    folder = project / "generated" / plan.name
    if not folder.exists():
        build_folder(project, plan)
    return run_here(folder / "train.py", "--device", "cpu", "--allow-drift", *arguments)


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process fail inside this step, before it is counted."""
    mark = RunFolder.mark_step

    def marked(self: RunFolder, number: int) -> None:
        if number == step:
            monkeypatch.setattr(RunFolder, "mark_step", mark)
            raise CrashError
        mark(self, number)

    monkeypatch.setattr(RunFolder, "mark_step", marked)


FULL = make_plan(
    augmentation="crop_flip",
    validation=40,
    training_images=1397,
    batch_size=300,
    iterations_per_epoch=5,
    accumulate=2,
    regularisation=PENALTY,
    record_gradients=True,
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("whole run")
    assert train(project, FULL) == 0
    return project


def test_repeated_run_is_equal(uninterrupted: Path, tmp_path: Path):
    assert train(tmp_path, FULL) == 0
    assert weights(tmp_path) == weights(uninterrupted)
    assert metrics(tmp_path) == metrics(uninterrupted)
    assert sessions(tmp_path)[0]["last_step"] == 15


@pytest.mark.parametrize("step", [1, 8, 10])
def test_resumed_run_equals_uninterrupted(
    step: int, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crash_at(monkeypatch, step)
    with pytest.raises(CrashError):
        train(tmp_path, FULL, "--checkpoint-steps", "3")
    torch.manual_seed(step)  # whatever else happens to the global generator
    assert train(tmp_path, FULL) == 0
    assert weights(tmp_path) == weights(uninterrupted)
    assert metrics(tmp_path) == metrics(uninterrupted)
    assert metrics(tmp_path, "gradients.jsonl") == metrics(uninterrupted, "gradients.jsonl")
    first, second = sessions(tmp_path)
    assert (first["outcome"], second["outcome"]) == ("failed", "finished")
    steps = [session["last_step"] - session["first_step"] + 1 for session in (first, second)]
    assert 15 <= sum(steps) <= 15 + 3


def test_a_paused_run_goes_on_as_if_it_had_not_paused(
    uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for until, done in ((1, 1), (2, 2), (2, 2)):
        assert train(tmp_path, FULL, "--until-epoch", str(until)) == 0
        assert f"paused after epoch {done}, start again to go on" in capsys.readouterr().out
        assert [each["kind"] for each in metrics(tmp_path)].count("epoch") == done
        manifest = json.loads((only_run(tmp_path) / "manifest.json").read_text())
        assert manifest["status"] == "stopped"
    assert train(tmp_path, FULL, "--until-epoch", "3") == 0
    assert weights(tmp_path) == weights(uninterrupted)
    assert metrics(tmp_path) == metrics(uninterrupted)
    outcomes = [each["outcome"] for each in sessions(tmp_path)]
    assert outcomes == ["stopped", "stopped", "stopped", "finished"]


def test_crash_between_the_last_step_and_the_end_of_an_epoch(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def crash(self: TrainingRun, validation: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "finish_epoch", crash)
        with pytest.raises(CrashError):
            train(tmp_path, FULL, "--checkpoint-steps", "5")
    assert train(tmp_path, FULL) == 0
    assert weights(tmp_path) == weights(uninterrupted)
    assert metrics(tmp_path) == metrics(uninterrupted)
    assert [session["first_step"] for session in sessions(tmp_path)] == [1, 6]


def test_records(uninterrupted: Path):
    epochs = [line for line in metrics(uninterrupted) if line["kind"] == "epoch"]
    assert [line["step"] for line in epochs] == [5, 10, 15]
    assert [line["lr"] for line in epochs] == [0.05, 0.025, 0.0125]
    assert epochs[0]["train"].keys() == {"loss", "top1_error", "penalty"}
    assert epochs[0]["validation"].keys() == {"loss", "top1_error", "top5_error"}
    gradients = metrics(uninterrupted, "gradients.jsonl")
    assert [line["step"] for line in gradients] == list(range(1, 16))
    assert len(gradients[0]["linf"]["stem.mixing.0.weight"]) == 4
    run = only_run(uninterrupted)
    assert (run / "checkpoints/epoch-002.safetensors").is_file()
    assert not (run / "checkpoints/epoch-001.safetensors").exists()


def test_gradient_norms(uninterrupted: Path, tmp_path: Path):
    norms = read_gradients(only_run(uninterrupted))
    assert list(norms) == ["stem.mixing.0", "stem.mixing.1"]
    assert [array.shape for array in norms.values()] == [(15, 4), (15, 2)]
    assert all((array > 0).all() for array in norms.values())
    lines = metrics(uninterrupted, "gradients.jsonl")
    assert norms["stem.mixing.1"][7].tolist() == lines[7]["linf"]["stem.mixing.1.weight"]
    with pytest.raises(RunError, match=r"gradients.jsonl is not there"):
        read_gradients(tmp_path)
    file = tmp_path / "gradients.jsonl"
    file.write_text(json.dumps(lines[0]) + "\n" + json.dumps(lines[2]) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="does not have every step once"):
        read_gradients(tmp_path)
    file.write_text("", encoding="utf-8")
    assert read_gradients(tmp_path) == {}


def test_gradient_norms_are_of_the_cross_entropy_alone(tmp_path: Path):
    """The penalty adds its gradient after the norms are noted."""
    recorded = []
    for penalty in (PENALTY, None):
        plan = make_plan(epochs=1, batch_size=37, iterations_per_epoch=1)
        plan = replace(plan, record_gradients=True, regularisation=penalty)
        project = tmp_path / str(penalty is None)
        assert train(project, plan) == 0
        recorded.append(read_gradients(only_run(project)))
    assert [norms.shape for norms in recorded[0].values()] == [(1, 4), (1, 2)]
    for name, norms in recorded[0].items():
        assert (norms == recorded[1][name]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {
            "optimizer": ADAMW,
            "schedule": Cosine(warmup_epochs=1),
            "label_smoothing": 0.1,
            "class_weights": (2.0, *[1.0] * 9),
            "clip_norm": 0.5,
            "groups": (ParameterGroup(match=("stem", "biases"), lr_factor=3.0, weight_decay=0.0),),
            "mixup": 0.4,
            "cutmix": 1.0,
            "average_decay": 0.8,
        },
        {
            "schedule": Plateau(patience=0),
            "augmentation": "none",
            "early_stopping": 3,
            "freeze": ("stem.free", "pool"),
        },
        pytest.param(
            {
                "augmentation": (
                    known_transforms()["random_crop"](padding=2),
                    known_transforms()["rand_augment"](),
                )
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"precision": "float16", "mixup": 0.4, "average_decay": 0.8, "accumulate": 2},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"precision": "bfloat16", "schedule": Milestones(milestones=(1, 2), gamma=0.3)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"optimizer": replace(SGD, nesterov=True), "augmentation": "pad_crop_flip"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_settings_resume_equal(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = make_plan(**changes)
    assert train(tmp_path / "whole", plan) == 0
    crash_at(monkeypatch, 12)
    with pytest.raises(CrashError):
        train(tmp_path / "parts", plan, "--checkpoint-steps", "4")
    assert train(tmp_path / "parts", plan, "--workers", "2") == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    averages = [only_run(tmp_path / part) / AVERAGE for part in ("whole", "parts")]
    if plan.average_decay is not None:
        assert averages[0].read_bytes() == averages[1].read_bytes() != weights(tmp_path / "parts")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_a_run_with_a_plan_of_version_1_resumes_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = make_plan(optimizer=ADAMW, schedule=Plateau(patience=0))
    assert train(tmp_path / "whole", plan) == 0
    crash_at(monkeypatch, 12)
    with pytest.raises(CrashError):
        train(tmp_path / "parts", plan, "--checkpoint-steps", "4")
    kept = only_run(tmp_path / "parts") / "plan.json"
    kept.write_text(json.dumps(version_1(plan)), encoding="utf-8")
    assert train(tmp_path / "parts", plan) == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plan = make_plan(epochs=1)
    assert train(tmp_path, plan) == 0
    assert train(tmp_path, plan) == 0
    assert "is finished" in capsys.readouterr().out
    assert train(tmp_path, plan, "--new") == 0
    assert sorted(path.name for path in tmp_path.glob("runs/tiny/*")) == [
        "a1b2c3d4-s7",
        "a1b2c3d4-s7-2",
    ]


def test_no_epochs_still_has_weights(tmp_path: Path):
    assert train(tmp_path, make_plan(epochs=0)) == 0
    assert load_file(only_run(tmp_path) / "checkpoints/last/model.safetensors")


def test_loss_that_is_not_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plan = make_plan(optimizer=replace(SGD, lr=1e30))
    assert train(tmp_path, plan) == 2
    assert "error: not-finite: the loss is not a finite number any more" in capsys.readouterr().err
    assert sessions(tmp_path)[0]["outcome"] == "failed"


def test_signal_saves_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan = make_plan()
    mark = RunFolder.mark_step

    def marked(self: RunFolder, number: int) -> None:
        mark(self, number)
        if number == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RunFolder, "mark_step", marked)
    assert train(tmp_path, plan) == 128 + signal.SIGTERM
    monkeypatch.undo()
    assert sessions(tmp_path)[0]["last_step"] == 7
    assert sessions(tmp_path)[0]["outcome"] == "stopped"
    assert train(tmp_path, plan) == 0
    assert sessions(tmp_path)[1]["first_step"] == 8


def test_kill_and_resume(tmp_path: Path):
    plan = make_plan(epochs=12, checkpoint_every=100)
    folder = build_folder(tmp_path, plan)
    options = ["--allow-drift", "--device", "cpu", "--checkpoint-steps", "1"]
    words = [str(folder / "train.py"), "step", "5", *options]
    code, _, errors = run_copy(lambda: killed.main(words))
    assert code == -signal.SIGKILL, errors
    assert train(tmp_path, plan) == 0
    assert sessions(tmp_path)[0]["outcome"] == "killed"
    steps = [session["last_step"] - session["first_step"] + 1 for session in sessions(tmp_path)]
    assert 60 <= sum(steps) <= 61
    assert [line["epoch"] for line in metrics(tmp_path) if line["kind"] == "epoch"] == [
        *range(1, 13)
    ]


def rates(schedule: Schedule, epochs: int = 6, losses: list[float] | None = None) -> list[float]:
    plan = make_plan(schedule=schedule, epochs=epochs, optimizer=replace(SGD, lr=1.0))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rate = LearningRate(plan, optimizer, 2)
    values = []
    for epoch in range(epochs):
        rate.set(epoch, 1)
        values.append(round(optimizer.param_groups[0]["lr"], 6))
        if schedule.follows_loss:
            rate.follow(losses[epoch] if losses else 1.0)
    return values


def test_learning_rates():
    assert rates(STEP, 3) == [1.0, 0.5, 0.25]
    assert rates(Constant(warmup_epochs=2), 3) == [0.5, 1.0, 1.0]
    assert rates(Milestones(milestones=(1, 3)), 4) == [1, 0.1, 0.1, 0.01]
    assert rates(Cosine(), 4) == [
        1.0,
        0.853553,
        0.5,
        0.146447,
    ]
    plateau = Plateau(patience=1)
    assert rates(plateau, 6, [1.0, 0.9, 0.9, 0.9, 0.8, 0.8]) == [1, 1, 1, 1, 0.1, 0.1]


def lambda_of(factor: Callable[[int], float]) -> Callable[[Any], Any]:
    return lambda optimizer: scheduler.LambdaLR(optimizer, factor)


STEPWISE: dict[str, tuple[Schedule, Callable[[Any], Any]]] = {
    "cosine": (
        Cosine(every="step", end_factor=0.1),
        lambda o: scheduler.CosineAnnealingLR(o, 35, eta_min=0.2),
    ),
    "linear": (
        Linear(end_factor=0.25),
        lambda o: scheduler.LinearLR(o, start_factor=1, end_factor=0.25, total_iters=35),
    ),
    "polynomial": (
        Polynomial(power=1.5),
        lambda o: scheduler.PolynomialLR(o, total_iters=35, power=1.5),
    ),
    "cosine_restarts": (
        CosineRestarts(first_epochs=1, multiplier=2, end_factor=0.05),
        lambda o: scheduler.CosineAnnealingWarmRestarts(o, 5, 2, eta_min=0.1),
    ),
    "one_cycle": (
        OneCycle(rise=0.35),
        lambda o: scheduler.OneCycleLR(o, 2.0, 35, pct_start=0.35, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize("name", STEPWISE)
def test_schedules_of_steps_are_torchs(name: str):
    """Seven epochs of five steps; behind a warm-up the same curve runs over what is left."""
    schedule, made = STEPWISE[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    theirs = made(optimizer)
    expected = []
    for _ in range(35):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    for warmup in (0, 2):
        plan = make_plan(epochs=7 + warmup, optimizer=replace(SGD, lr=2.0))
        plan = replace(plan, schedule=replace(schedule, warmup_epochs=warmup))
        rate = LearningRate(plan, optimizer, 5)
        found = []
        for epoch, step in product(range(plan.epochs), range(5)):
            rate.set(epoch, step)
            found.append(optimizer.param_groups[0]["lr"])
        assert found[5 * warmup :] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        start = expected[0]
        rising = [start * number / (5 * warmup) for number in range(1, 5 * warmup + 1)]
        assert found[: 5 * warmup] == pytest.approx(rising)


def test_early_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ends after two epochs without progress, also where the process dies between them."""
    plan = make_plan(early_stopping=2, optimizer=replace(SGD, lr=1e-9), epochs=9)
    assert train(tmp_path / "whole", plan) == 0
    crash_at(monkeypatch, 11)
    with pytest.raises(CrashError):
        train(tmp_path / "parts", plan, "--checkpoint-steps", "4")
    assert train(tmp_path / "parts", plan) == 0
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    losses = [
        line["validation"]["loss"]
        for line in metrics(tmp_path / "whole")
        if line["kind"] == "epoch"
    ]
    best = min(range(len(losses)), key=lambda epoch: losses[epoch])
    assert 3 <= len(losses) < 9
    assert all(loss >= losses[best] * (1 - 1e-4) for loss in losses)
    manifest = json.loads((only_run(tmp_path / "parts") / "manifest.json").read_text())
    assert (manifest["stopped_early"], manifest["status"]) == (len(losses), "finished")


@pytest.mark.parametrize(("layers", "is_same"), [(1, True), (2, False)])
def test_parts_change_what_several_dropout_layers_draw(layers: int, is_same: bool) -> None:
    """What diff says of `training.accumulate`, on a CPU."""
    drop = torch.nn.Sequential(*(torch.nn.Dropout(0.5) for _ in range(layers)))
    images = torch.ones(32, 48)
    torch.manual_seed(0)
    whole = drop(images)
    torch.manual_seed(0)
    assert torch.equal(whole, torch.cat([drop(part) for part in images.chunk(4)])) == is_same
