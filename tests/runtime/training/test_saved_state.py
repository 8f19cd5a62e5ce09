"""A state, its weights and its logs agree, or training stops and says what can be done."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.plans import SGD, make_plan
from tests.support.scripted import PENALTY, build_folder, only_run, run_here
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import load_state
from wavetwin.runtime.training.early_stopping import EarlyStopping
from wavetwin.runtime.training.records import JsonLines, read_lines
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.saved_state import Expected, check_state

PLAN = make_plan(regularisation=PENALTY, record_gradients=True, checkpoint_every=1)
"""37 images in batches of 8: 5 steps an epoch, 3 epochs."""


def train(project: Path, plan: TrainingPlan = PLAN, *arguments: str) -> int:
    return run_here(
        project / "generated" / plan.name / "train.py",
        "--device",
        "cpu",
        "--allow-drift",
        *arguments,
    )


def evaluate(project: Path, *arguments: str) -> int:
    return run_here(
        project / "generated" / PLAN.name / "evaluate.py", "--device", "cpu", *arguments
    )


class StopError(Exception):
    pass


def stopped(project: Path, plan: TrainingPlan = PLAN) -> None:
    """Train until the middle of the second epoch, with a state after step 6 and lines after it."""
    build_folder(project, plan)
    mark = RunFolder.mark_step

    def marked(self: RunFolder, number: int) -> None:
        mark(self, number)
        if number == 8:
            raise StopError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "mark_step", marked)
        with pytest.raises(StopError):
            train(project, plan, "--checkpoint-steps", "6")


@pytest.fixture(scope="module")
def began(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("began")
    stopped(project)
    return project


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, began: Path) -> Path:
    project = tmp_path_factory.mktemp("ended") / "project"
    shutil.copytree(began, project)
    assert train(project) == 0
    return project


@pytest.fixture
def project(began: Path, tmp_path: Path) -> Path:
    shutil.copytree(began, tmp_path / "project")
    return tmp_path / "project"


def last(project: Path) -> Path:
    return only_run(project) / "checkpoints/last"


def change_state(project: Path, change: Callable[[dict[str, Any]], object]) -> None:
    state = read_state(project)
    change(state)
    torch.save(state, last(project) / "state.pt")


def read_state(project: Path) -> dict[str, Any]:
    state = load_state(last(project).parent)
    assert state is not None
    return state


def expected(state: dict[str, Any]) -> Expected:
    """Return what the state has to agree with, its optimiser over parameters of the same shapes."""
    memory = state["optimizer"]["state"]
    parameters = [torch.zeros_like(memory[n]["momentum_buffer"]) for n in range(len(memory))]
    optimizer = torch.optim.SGD(
        parameters, lr=SGD.lr, momentum=SGD.momentum or 0, weight_decay=SGD.weight_decay
    )
    return Expected(
        PLAN, 5, state["data"], ("metrics.jsonl", "gradients.jsonl"), optimizer, EarlyStopping(None)
    )


def refused(project: Path, capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    """Training stops with these words, changes nothing, and the remedy --new works."""
    run = only_run(project)
    watched = ("metrics.jsonl", "gradients.jsonl", "checkpoints/last/state.pt")
    before = {name: (run / name).read_bytes() for name in watched if (run / name).exists()}
    assert train(project) == 2
    told = capsys.readouterr().err
    for part in parts:
        assert part in told, told
    assert "Traceback" not in told
    assert "start another run with --new" in told
    assert {name: (run / name).read_bytes() for name in before} == before


def test_other_weights_beside_a_state_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    file = last(project) / "model.safetensors"
    right = file.read_bytes()
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    refused(
        project,
        capsys,
        "model.safetensors: error: checkpoint-damaged: is not the file that the run saved",
    )
    file.write_bytes(right)  # the first remedy
    assert train(project) == 0


def test_a_new_run_is_the_remedy(project: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copy(last(project).parent / "epoch-001.safetensors", last(project) / "model.safetensors")
    refused(project, capsys, "is not the file that the run saved")
    old = only_run(project)
    assert train(project, PLAN, "--new") == 0
    assert json.loads((old.with_name(f"{old.name}-2") / "manifest.json").read_text())["status"] == (
        "finished"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.update(epoch=10**9), "epoch is 1000000000, and the plan has epochs 0 to 3"),
        (lambda s: s.update(epoch=-1), "epoch is -1"),
        (lambda s: s.update(epoch=True), "epoch is True"),
        (lambda s: s.update(epoch=3, step=1), "step is 1 after epoch 3"),
        (lambda s: s.update(step=6), "step is 6 after epoch 1, and there are steps 0 to 5"),
        (lambda s: s.update(best=1.5), "best is 1.5"),
        (lambda s: s.update(best=math.nan), "best is nan"),
        (lambda s: s.update(seconds=-1.0), "seconds is -1.0"),
        (lambda s: s.pop("metrics"), "metrics is missing"),
        (lambda s: s.pop("training_digest"), "it has no training_digest"),
        (lambda s: s.pop("weights_sha256"), "the digest of its weights"),
        (lambda s: s["files"].pop("gradients.jsonl"), "the length of gradients.jsonl is None"),
        (lambda s: s["files"]["metrics.jsonl"].update(bytes=-4), "the length of metrics.jsonl"),
        (lambda s: s["learning_rate"].update(value=5.0), "value of the learning rate is 5.0"),
        (lambda s: s["learning_rate"].update(bad_epochs=7), "bad_epochs of the learning rate is 7"),
        (lambda s: s["metrics"]["epoch"].update(images=10**6), "the sum images of the epoch"),
        (lambda s: s["metrics"]["interval"].update(loss=math.inf), "the sum loss of the interval"),
        (lambda s: s["optimizer"]["param_groups"][0].update(momentum=0.1), "momentum of the opti"),
        (lambda s: s["optimizer"]["param_groups"][0].update(lr=-1.0), "lr of the optimiser"),
        (lambda s: s["optimizer"]["state"][0].update(momentum_buffer=torch.ones(2)), "the shape"),
        (lambda s: s["optimizer"]["state"].update({99: {}}), "remembers other parameters"),
        (lambda s: s["optimizer"]["state"][0].update(step=900), "step of the optimiser is 900"),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    began: Path, change: Callable[..., object], told: str
):
    state = read_state(began)
    wanted = expected(state)
    check_state(state, began, wanted)
    change(state)
    with pytest.raises(RunError, match=re.escape(told)):
        check_state(state, began, wanted)


def test_an_epoch_beyond_the_plan_stops_training(project: Path, capsys: pytest.CaptureFixture[str]):
    change_state(project, lambda state: state.update(epoch=10**9))
    refused(project, capsys, "epoch is 1000000000, and the plan has epochs 0 to 3")


def test_a_state_of_a_later_version_is_refused(project: Path, capsys: pytest.CaptureFixture[str]):
    change_state(project, lambda state: state.update(version=3))
    refused(project, capsys, "is of version 3")


@pytest.mark.parametrize("name", ["training_digest", "seed", "data", "steps_per_epoch"])
def test_a_state_of_another_run_is_refused(name: str, began: Path):
    state = read_state(began)
    wanted = expected(state)
    with pytest.raises(RunError, match=f"is of another run: {name} is 12"):
        check_state(state | {name: 12}, began, wanted)


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_state_is_refused(damage: str, project: Path, capsys: pytest.CaptureFixture[str]):
    file = last(project) / "state.pt"
    content = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        # A bit of a momentum: torch.load alone would take it.
        values = read_state(project)["optimizer"]["state"][0]["momentum_buffer"].numpy().tobytes()
        content[content.index(values) + 2] ^= 1
        file.write_bytes(content)
    refused(project, capsys, "state.pt")


@pytest.mark.parametrize("name", ["metrics.jsonl", "gradients.jsonl"])
@pytest.mark.parametrize("damage", ["shorter", "edited", "gone"])
def test_a_log_that_is_not_as_the_state_says_is_refused(
    name: str, damage: str, project: Path, capsys: pytest.CaptureFixture[str]
):
    log = only_run(project) / name
    right = log.read_bytes()
    if damage == "gone":
        log.unlink()
    else:
        log.write_bytes(right[:40] if damage == "shorter" else right.replace(b"1", b"2", 1))
    told = "was changed" if damage == "edited" else "bytes, and the state says that it had"
    refused(project, capsys, str(log), told)
    log.write_bytes(right)
    assert train(project) == 0


def test_the_unfinished_end_of_a_log_is_cut_and_the_result_is_the_same(project: Path, ended: Path):
    for name in ("metrics.jsonl", "gradients.jsonl"):
        with (only_run(project) / name).open("ab") as stream:
            stream.write(b'{"kind": "step", "epo')
    assert train(project) == 0
    for name in ("metrics.jsonl", "gradients.jsonl"):
        both = [list(read_lines(only_run(each) / name)) for each in (project, ended)]
        for line in (*both[0], *both[1]):
            line.pop("time", None)
        assert both[0] == both[1]
    weights = "checkpoints/last/model.safetensors"
    assert (only_run(project) / weights).read_bytes() == (only_run(ended) / weights).read_bytes()


def test_checkpoints_that_are_gone_do_not_take_the_records_with_them(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    run = only_run(project)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["lives"][-1]["outcome"] = "stopped"
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "checkpoints").rename(run / "elsewhere")
    refused(project, capsys, "has no state, and the run has saved one")
    (run / "elsewhere").rename(run / "checkpoints")
    assert train(project) == 0


def test_a_state_of_before_there_were_digests_is_taken_up_with_a_note(
    project: Path, ended: Path, capsys: pytest.CaptureFixture[str]
):
    def make_old(state: dict[str, Any]) -> None:
        for name in ("version", "weights_sha256", "kept", "seed"):
            del state[name]
        state["files"] = {name: found["bytes"] for name, found in state["files"].items()}

    change_state(project, make_old)
    assert train(project) == 0
    assert "kept no digests" in capsys.readouterr().out
    weights = "checkpoints/last/model.safetensors"
    assert (only_run(project) / weights).read_bytes() == (only_run(ended) / weights).read_bytes()


def test_an_old_log_that_is_shorter_is_refused_too(tmp_path: Path):
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"step": 1})
    with pytest.raises(RunError, match="has 12 bytes, and the state says that it had 500"):
        lines.cut_back(500)
    lines.close()
    assert (tmp_path / "metrics.jsonl").stat().st_size == 12


@pytest.mark.parametrize(
    ("weights", "file"),
    [
        ("last", "last/model.safetensors"),
        ("best", "best.safetensors"),
        ("epoch-2", "epoch-002.safetensors"),
    ],
)
def test_other_weights_are_not_evaluated(
    weights: str, file: str, ended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(ended, tmp_path / "project")
    checkpoints = only_run(tmp_path / "project") / "checkpoints"
    assert evaluate(tmp_path / "project", "--allow-drift", "--weights", weights) == 0
    tensors = load_file(checkpoints / file)
    metadata = {"epoch": "2"} if weights == "best" else {}
    save_file({name: value + 1 for name, value in tensors.items()}, checkpoints / file, metadata)
    assert evaluate(tmp_path / "project", "--allow-drift", "--weights", weights, "--again") == 2
    assert "is not the file that the run saved" in capsys.readouterr().err


def test_a_state_of_too_many_epochs_is_not_evaluated(
    ended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(ended, tmp_path / "project")
    change_state(tmp_path / "project", lambda state: state.update(epoch=10**9))
    assert evaluate(tmp_path / "project", "--allow-drift") == 2
    assert "would be of 1000000000 epochs, and the plan has 3" in capsys.readouterr().err


def test_a_state_of_another_training_is_not_evaluated(
    ended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(ended, tmp_path / "project")
    change_state(tmp_path / "project", lambda state: state.update(training_digest="f" * 64))
    assert evaluate(tmp_path / "project", "--allow-drift") == 2
    assert "is of another run" in capsys.readouterr().err
