"""A finished run says so at once: what would start torch is not started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.training.run_names import find_finished, run_stem

PLAN = make_plan(epochs=1)
NUMERIC = ("torch", "numpy", "PIL", "sklearn")


def finish(project: Path, plan: TrainingPlan = PLAN, suffix: str = "", **changes: object) -> Path:
    """Write what a finished run says of itself."""
    run = project / "runs" / plan.name / (run_stem(plan, None) + suffix)
    run.mkdir(parents=True)
    document = {"status": "finished", "training_digest": plan.training_digest} | changes
    (run / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return run


def finished(folder: Path, label: Sequence[str] = (), **variables: str) -> Path | None:
    arguments = parse_arguments("train", training=True, arguments=list(label))
    return find_finished(folder, arguments, variables)


def start(folder: Path, tmp_path: Path, *label: str) -> subprocess.CompletedProcess[str]:
    """Start train.py where every package of numbers ends the process that imports it."""
    packages = tmp_path / "packages"
    for name in NUMERIC:
        (packages / name).mkdir(parents=True, exist_ok=True)
        text = f"import sys\nsys.exit('{name} was imported')\n"
        (packages / name / "__init__.py").write_text(text, encoding="utf-8")
    environment = {
        key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")
    }
    return subprocess.run(
        [sys.executable, str(folder / "train.py"), *label],
        env=environment | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_finished_run_says_so_without_torch(tmp_path: Path):
    folder = build_folder(tmp_path, PLAN)
    run = finish(tmp_path)
    before = sorted(path.name for path in run.iterdir())
    done = start(folder, tmp_path)
    said = f"{run} is finished; --new starts another run\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert sorted(path.name for path in run.iterdir()) == before
    # Followed, the remedy starts training: the packages of this test end it.
    again = start(folder, tmp_path, "--new")
    assert (again.returncode, again.stderr) == (1, "torch was imported\n")


def test_the_check_of_the_scripts_comes_first(tmp_path: Path):
    folder = build_folder(tmp_path, PLAN)
    finish(tmp_path)
    with (folder / "train.py").open("a", encoding="utf-8") as script:
        script.write("\n# edited\n")
    done = start(folder, tmp_path)
    assert done.returncode == 2
    assert "script-modified" in done.stderr
    # Run as another run, which is not finished.
    assert start(folder, tmp_path, "--allow-drift").stderr == "torch was imported\n"


@pytest.mark.parametrize(
    ("label", "variables"),
    [
        (["--new"], {}),
        (["--limit-batches", "2"], {}),
        (["--runs", "elsewhere"], {}),
        ([], {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}),
    ],
)
def test_what_starts_or_asks_elsewhere(tmp_path: Path, label: list[str], variables: dict[str, str]):
    folder = build_folder(tmp_path, PLAN)
    run = finish(tmp_path)
    assert finished(folder) == run
    assert finished(folder, label, **variables) is None


def test_more_epochs_are_another_run(tmp_path: Path):
    folder = build_folder(tmp_path, replace(PLAN, epochs=2, training_digest="b" * 64))
    finish(tmp_path)
    assert finished(folder) is None


@pytest.mark.parametrize("status", ["new", "running", "stopped", "failed", None])
def test_a_run_that_is_not_finished(tmp_path: Path, status: str | None):
    folder = build_folder(tmp_path, PLAN)
    finish(tmp_path, status=status)
    assert finished(folder) is None


def test_the_last_run_counts(tmp_path: Path):
    folder = build_folder(tmp_path, PLAN)
    finish(tmp_path)
    finish(tmp_path, suffix="-2", status="stopped")
    last = finish(tmp_path, suffix="-10")
    assert finished(folder) == last
    (last / "manifest.json").unlink()
    assert finished(folder) is None


def test_a_run_of_another_training_under_the_same_name(tmp_path: Path):
    """The script says so after this, when it opens the run."""
    folder = build_folder(tmp_path, PLAN)
    finish(tmp_path, training_digest=PLAN.training_digest[:8] + "1" * 56)
    assert finished(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_manifest(tmp_path: Path, text: str):
    folder = build_folder(tmp_path, PLAN)
    (finish(tmp_path) / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"cannot be read|is damaged"):
        finished(folder)


def test_an_edit_beside_training_is_kept_first(tmp_path: Path):
    folder = build_folder(tmp_path, PLAN)
    finish(tmp_path)
    (folder / "evaluate.py").write_text("# edited\n", encoding="utf-8")
    assert finished(folder) is None
    (only_run(tmp_path) / "edited.diff").touch()
    assert finished(folder) == only_run(tmp_path)
