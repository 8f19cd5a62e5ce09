"""Several processes: the generated scripts in two processes over gloo.

The slow tests start them by torchrun itself, and find the same bits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.forked import run_together
from tests.support.plans import ONE_CROP, make_plan, shifts
from tests.support.scripted import (
    MODEL_WITHOUT_RANDOMNESS,
    PENALTY,
    build_folder,
    only_run,
    run_here,
    write_tiny_weights,
)
from wavetwin.explain.start_command import training_commands
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.ir.optimizers import Adam
from wavetwin.ir.parameter_groups import ParameterGroup
from wavetwin.ir.schedules import OneCycle
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.machine import launch_info
from wavetwin.runtime.process.processes import ALONE, join_processes
from wavetwin.runtime.training.records import read_lines
from wavetwin.runtime.training.run_folder import RunFolder

# 37 images in batches of 8: the last one has 5, and 3 fall to the first process.
PLAN = make_plan(
    accumulate=2,
    regularisation=PENALTY,
    record_gradients=True,
    evaluation=(ONE_CROP, shifts("diagonal", "flip_rate"), shifts("vertical", "kl_divergence")),
)


def torchrun(script: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", str(script), "--device", "cpu", "--allow-drift"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*command, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    try:
        output, _ = process.communicate(timeout=900)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code, output
    return output


def weights(project: Path) -> dict[str, torch.Tensor]:
    return load_file(only_run(project) / "checkpoints/last/model.safetensors")


def bits(project: Path) -> bytes:
    return (only_run(project) / "checkpoints/last/model.safetensors").read_bytes()


def records(project: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    lines = read_lines(only_run(project) / name)
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("two processes")
    folder = build_folder(project, PLAN, MODEL_WITHOUT_RANDOMNESS)
    words = ("--device", "cpu", "--allow-drift")
    ended = run_together(2, lambda: run_here(folder / "train.py", *words))
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert [output.count("epoch 3:") for _, output, _ in ended] == [1, 0]
    return project


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("one process")
    folder = build_folder(project, PLAN, MODEL_WITHOUT_RANDOMNESS)
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift") == 0
    return project


def test_two_processes_train_as_one(one: Path, two: Path):
    alone, together = weights(one), weights(two)
    for name, value in alone.items():
        # Sums of gradients in another order, over 15 steps.
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(records(two), records(one), strict=True):
        assert ours["kind"] == theirs["kind"]
        if ours["kind"] == "epoch":
            assert ours["train"]["loss"] == pytest.approx(theirs["train"]["loss"], rel=1e-4)
            assert ours["train"]["top1_error"] * 37 == pytest.approx(
                theirs["train"]["top1_error"] * 37, abs=1e-6
            )
    name = "gradients.jsonl"
    first, other = records(two, name)[0]["linf"], records(one, name)[0]["linf"]
    assert {key: pytest.approx(values, rel=1e-4) for key, values in other.items()} == first
    manifest = json.loads((only_run(two) / "manifest.json").read_text())
    (session,) = manifest["lives"]
    launch = {"processes": 2, "nodes": 1, "processes_per_node": 2, "launcher": "torchrun"}
    assert session["machine"].items() >= launch.items()


@pytest.mark.slow  # seconds of starting processes
def test_two_processes_start_from_the_same_weights(tmp_path: Path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    folders = []
    for project in (alone, together):
        project.mkdir()
        start = replace(write_tiny_weights(project), parts=("stem", "trunk"))
        plan = replace(PLAN, weights=start)
        folders.append(build_folder(project, plan, MODEL_WITHOUT_RANDOMNESS))
    assert run_here(folders[0] / "train.py", "--device", "cpu", "--allow-drift") == 0
    output = finish(torchrun(folders[1] / "train.py"))
    assert output.count("weights: 6 tensors of w.safetensors") == 1
    expected, found = weights(alone), weights(together)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    first, second = (
        (only_run(each) / "starting_weights.json").read_bytes() for each in (alone, together)
    )
    assert first == second
    # Both stop where the file is another one.
    save_file({"x.weight": torch.zeros(2)}, together / "w.safetensors")
    output = finish(torchrun(folders[1] / "train.py", "--new"), 1)
    assert output.count("weights-changed") == 1


@pytest.mark.slow  # seconds of starting processes
def test_the_command_that_repeats_a_run_trains_the_same(two: Path, tmp_path: Path):
    folder = build_folder(tmp_path, PLAN, MODEL_WITHOUT_RANDOMNESS)
    manifest = json.loads((only_run(two) / "manifest.json").read_text())
    (line,), _ = training_commands(f"generated/{folder.name}", manifest["lives"])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    # The program that torch installs, of the interpreter of these tests.
    program = tmp_path / "bin/torchrun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m torch.distributed.run "$@"\n')
    program.chmod(0o755)
    environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert bits(tmp_path) == bits(two)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "GROUP_WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("processes", "variables", "expected"),
    [
        (1, {}, (1, 1, None)),
        (1, {"WAVETWIN_LAUNCHER": "slurm.sh", "SLURM_STEP_ID": "0"}, (1, 1, "slurm.sh")),
        (8, TORCHRUN, (2, 4, "torchrun")),
        # The agents of nodes with 4 and 2 GPUs: the first one sees its own number.
        (6, TORCHRUN, (2, 4, "torchrun")),
        (8, TORCHRUN | {"SLURM_STEP_ID": "0"}, (2, 4, "srun")),
        (8, TORCHRUN | {"WAVETWIN_LAUNCHER": "slurm.sh"}, (2, 4, "slurm.sh")),
        # RANK and WORLD_SIZE were set by hand, for each task of a step of Slurm.
        (8, {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "2"}, (2, 4, "srun")),
        (8, {}, (None, None, None)),
    ],
)
def test_what_started_the_processes_is_recorded(
    processes: int, variables: dict[str, str], expected: tuple[int | None, ...]
):
    nodes, per_node, launcher = expected
    assert launch_info(processes, variables) == {
        "processes": processes,
        "nodes": nodes,
        "processes_per_node": per_node,
        "launcher": launcher,
    }


def stop_and_resume(project: Path, folder: Path) -> None:
    """Train in two processes, the first time up to a signal."""
    process = torchrun(folder / "train.py", "--checkpoint-steps", "1")
    steps = project / "runs/tiny/a1b2c3d4-s7/steps"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and int(steps.read_text() or 0 if steps.is_file() else 0) < 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    finish(process, 1)
    finish(torchrun(folder / "train.py"))


@pytest.mark.slow  # seconds of starting processes
def test_a_recipe_resumes_in_two_processes(tmp_path: Path):
    plan = make_plan(
        accumulate=2,
        schedule=OneCycle(),
        optimizer=Adam(lr=0.01),
        label_smoothing=0.1,
        class_weights=(2.0, *[1.0] * 9),
        mixup=0.4,
        cutmix=1.0,
        average_decay=0.8,
        clip_norm=0.5,
        precision="float16",
        early_stopping=2,
        augmentation=(
            known_transforms()["random_crop"](padding=2),
            known_transforms()["rand_augment"](),
        ),
        freeze=("stem.mixing",),
        groups=(ParameterGroup(match=("norms", "biases"), lr_factor=0.5, weight_decay=0.0),),
    )
    whole = build_folder(tmp_path / "whole", plan)
    finish(torchrun(whole / "train.py"))
    stop_and_resume(tmp_path / "parts", build_folder(tmp_path / "parts", plan))
    assert bits(tmp_path / "parts") == bits(tmp_path / "whole")
    assert records(tmp_path / "parts") == records(tmp_path / "whole")
    name = "checkpoints/last/average.safetensors"
    averages = [only_run(tmp_path / part) / name for part in ("whole", "parts")]
    assert averages[0].read_bytes() == averages[1].read_bytes()


@pytest.mark.slow  # minutes of a compiler
@pytest.mark.timeout(1200)
def test_compiled_networks_resume_in_two_processes(tmp_path: Path):
    plan = make_plan(compile=True, accumulate=2)
    whole = build_folder(tmp_path / "whole", plan)
    finish(torchrun(whole / "train.py"))
    stop_and_resume(tmp_path / "parts", build_folder(tmp_path / "parts", plan))
    assert bits(tmp_path / "parts") == bits(tmp_path / "whole")
    assert records(tmp_path / "parts") == records(tmp_path / "whole")


@pytest.mark.slow  # seconds of starting processes
def test_two_processes_stop_and_resume(two: Path, tmp_path: Path):
    stop_and_resume(tmp_path, build_folder(tmp_path, PLAN, MODEL_WITHOUT_RANDOMNESS))
    assert bits(tmp_path) == bits(two)
    assert records(tmp_path) == records(two)
    assert records(tmp_path, "gradients.jsonl") == records(two, "gradients.jsonl")


@pytest.mark.slow  # seconds of starting processes
def test_another_number_of_processes_resumes(one: Path, tmp_path: Path):
    folder = build_folder(tmp_path, PLAN, MODEL_WITHOUT_RANDOMNESS)
    trial = ["--device", "cpu", "--allow-drift", "--checkpoint-steps", "4"]

    mark = RunFolder.mark_step

    def marked(self: RunFolder, number: int) -> None:
        mark(self, number)
        if number == 9:
            raise RunError("enough")

    with mock.patch.object(RunFolder, "mark_step", marked):
        assert run_here(folder / "train.py", *trial) == 2
    output = finish(torchrun(folder / "train.py"))
    assert "there were 1 processes and are 2" in output
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(tmp_path)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.slow  # seconds of starting; test_evaluate_processes has the modes
def test_two_processes_evaluate_as_one(two: Path):
    folder = two / "generated" / PLAN.name
    finish(torchrun(folder / "evaluate.py"))
    run = only_run(two)
    together = json.loads((run / "scores.json").read_text())["scores"]
    (run / "scores.json").unlink()
    assert run_here(folder / "evaluate.py", "--device", "cpu", "--allow-drift") == 0
    alone = json.loads((run / "scores.json").read_text())["scores"]
    assert len(together) == len(alone) == 3
    for ours, theirs in zip(together, alone, strict=True):
        assert ours["images"] == theirs["images"] == 360
        assert ours["scores"] == theirs["scores"]
        assert ours["intervals"] == theirs["intervals"]


def test_one_process_is_alone():
    with join_processes({}) as processes:
        assert processes is ALONE
    assert ALONE.sum([1.5]) == [1.5]
    assert ALONE.gather("x") == ["x"]
    assert ALONE.any(0, 15) == [0, 15]
    assert ALONE.run_first(lambda: 3) == 3


def test_half_of_the_variables_of_torchrun():
    with pytest.raises(RunError, match="not whole: RANK=1, WORLD_SIZE=None"):
        join_processes({"RANK": "1"}).__enter__()


@pytest.mark.slow  # seconds of starting processes
def test_validation_is_of_the_weights_that_are_saved(tmp_path: Path):
    """Batch norm has running statistics in each process; those of the first one count."""
    validation = replace(ONE_CROP, split="validation")
    plan = make_plan(epochs=1, evaluation=(validation,))
    folder = build_folder(tmp_path, plan)
    finish(torchrun(folder / "train.py"))
    (epoch,) = [line for line in records(tmp_path) if line["kind"] == "epoch"]
    assert run_here(folder / "evaluate.py", "--device", "cpu", "--allow-drift") == 0
    (record,) = json.loads((only_run(tmp_path) / "scores.json").read_text())["scores"]
    assert epoch["validation"] == record["scores"]
