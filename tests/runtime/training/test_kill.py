"""Training killed with SIGKILL at seeded moments and started again ends as if it had not been."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.paths import ROOT
from tests.support.plans import make_plan
from tests.support.scripted import PENALTY, build_folder, only_run, write_tiny_weights
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.runtime.training.records import read_lines

DRIVER = ROOT / "tests/support/killed.py"
PLAN = make_plan(
    dataset="folder",
    augmentation="crop_flip",
    validation=0,
    training_images=None,
    iterations_per_epoch=None,
    regularisation=PENALTY,
    record_gradients=True,
    epochs=3,
    checkpoint_every=2,
)
"""60 images in batches of 8: 8 steps an epoch, 24 in all; a state every 3 steps."""

# Calls of each phase in an undisturbed life: 5 syncs (two files, their folder, the parent; snapshots
# add theirs) and 2 renames a state, 3 validation batches and 8 steps an epoch.
CALLS = {"writing": 50, "renaming": 19, "validation": 9, "epochs": 3, "step": 25, "loading": 24}


def moments() -> list[tuple[str, int, int]]:
    """20 seeded moments: phase, number of the call, workers."""
    draw = random.Random(20261122)
    phases = ["writing", "renaming", "validation", "epochs", "step", "loading"]
    chosen: list[tuple[str, int, int]] = []
    while len(chosen) < 20:
        phase = phases[len(chosen) % len(phases)]
        moment = (phase, draw.randint(1, CALLS[phase]), 2 * (len(chosen) // len(phases) % 2))
        if moment not in chosen:
            chosen.append(moment)
    return chosen


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scikit-learn's digits as PNG files: 60 train, 20 validate, 10 test."""
    from sklearn.datasets import load_digits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels, labels = load_digits(return_X_y=True)
    root = tmp_path_factory.mktemp("images")
    taken = dict.fromkeys(range(10), 0)
    for number, (values, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        position = taken[label]
        taken[label] += 1
        if position >= 9:
            continue
        split = "train" if position < 6 else "val" if position < 8 else "test"
        file = root / split / str(label) / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((values.reshape(8, 8) * 15).astype("uint8"), "L")
        image.resize((16, 16)).save(file)
    return root


def start(project: Path, images: Path, workers: int, kill: tuple[str, int] | None) -> int:
    script = project / "generated" / PLAN.name / "train.py"
    own = [str(script)] if kill is None else [str(DRIVER), str(script), kill[0], str(kill[1])]
    options = ["--device", "cpu", "--allow-drift", "--checkpoint-steps", "3"]
    options += ["--data-root", str(images), "--workers", str(workers)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *own, *options],
        env=environment,
        check=False,
        capture_output=True,
        timeout=900,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


def outcome(project: Path) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    run = only_run(project)
    file = run / "checkpoints/last/model.safetensors"
    records = [
        [{key: value for key, value in line.items() if key != "time"} for line in read_lines(path)]
        for path in (run / "metrics.jsonl", run / "gradients.jsonl")
    ]
    return hashlib.sha256(file.read_bytes()).hexdigest(), *records


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    project = tmp_path_factory.mktemp("undisturbed")
    build_folder(project, PLAN)
    assert start(project, images, 0, None) == 0
    return project


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "number", "workers"), moments())
def test_killed_and_resumed_equals_undisturbed(
    phase: str, number: int, workers: int, undisturbed: Path, images: Path, tmp_path: Path
):
    build_folder(tmp_path, PLAN)
    assert start(tmp_path, images, workers, (phase, number)) == -signal.SIGKILL
    assert start(tmp_path, images, workers, None) == 0
    assert outcome(tmp_path) == outcome(undisturbed)
    best = "checkpoints/best.safetensors"
    assert (only_run(tmp_path) / best).read_bytes() == (only_run(undisturbed) / best).read_bytes()
    sessions = json.loads((only_run(tmp_path) / "manifest.json").read_text())["lives"]
    assert [session["outcome"] for session in sessions][-1] == "finished"


RECIPES: dict[str, dict[str, Any]] = {
    "listed transforms": {
        "augmentation": (
            known_transforms()["random_resized_crop"](),
            known_transforms()["trivial_augment_wide"](),
            known_transforms()["random_erasing"](),
        )
    },
    "compile": {"compile": True},
    "float16": {"precision": "float16", "clip_norm": 0.5, "accumulate": 2},
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_killed_and_resumed_equals_undisturbed(name: str, images: Path, tmp_path: Path):
    """Killed twice: while a state is written, and between two states."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    changes = RECIPES[name]
    data = {key: value for key, value in changes.items() if hasattr(PLAN.data, key)}
    rest = {key: value for key, value in changes.items() if key not in data}
    plan = replace(PLAN, data=replace(PLAN.data, **data), **rest)
    for project in (whole, parts):
        build_folder(project, plan)
    assert start(whole, images, 0, None) == 0
    assert start(parts, images, 2, ("writing", 9)) == -signal.SIGKILL
    assert start(parts, images, 0, ("step", 12)) == -signal.SIGKILL
    assert start(parts, images, 2, None) == 0
    assert outcome(parts) == outcome(whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 12])
def test_a_training_from_weights_resumes_alike(number: int, images: Path, tmp_path: Path):
    """Killed before the first state it starts from the file again, later from its state alone."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for project in (whole, parts):
        project.mkdir()
        build_folder(project, replace(PLAN, weights=write_tiny_weights(project)))
    assert start(whole, images, 0, None) == 0
    assert start(parts, images, 0, ("step", number)) == -signal.SIGKILL
    if number > 3:
        (parts / "w.safetensors").unlink()
    assert start(parts, images, 0, None) == 0
    assert outcome(parts) == outcome(whole)
    records = [(only_run(each) / "starting_weights.json").read_bytes() for each in (whole, parts)]
    assert records[0] == records[1]


def test_the_moments_are_in_every_phase_with_and_without_workers():
    assert {(phase, workers) for phase, _, workers in moments()} >= {
        (phase, workers) for phase in CALLS for workers in (0, 2)
    }
