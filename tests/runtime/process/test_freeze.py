"""Frozen copies: what was built runs, whatever happens to the folder and the checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.built import build, write_images, write_spec
from tests.support.shipped import ROOT
from wavetwin.diagnostics import CompileError
from wavetwin.ir.starting_weights import StartingWeights
from wavetwin.provenance.package import load_package, sha256_of
from wavetwin.runtime.process import freeze as freeze_module
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.freeze import freeze


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build(write_spec(tmp_path / "a project")).folder


def test_the_copy_is_the_build_and_its_package(folder: Path) -> None:
    frozen = freeze(folder)
    manifest = (folder / "manifest.json").read_bytes()
    runs = folder.parent.parent / "runs"
    root = runs / "small/frozen" / sha256_of(manifest)[:12]
    assert frozen.folder == root / "generated/small"
    assert (frozen.package_folder, frozen.runs) == (root, runs)
    assert (root / "runs").resolve() == runs
    for name in (*json.loads(manifest)["files"], "manifest.json"):
        assert (frozen.folder / name).read_bytes() == (folder / name).read_bytes()
    built_with = json.loads(manifest)["sources"][1]["package_digest"]
    assert load_package(root / "wavetwin").digest == built_with
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_the_same_build_has_one_copy(folder: Path) -> None:
    first = freeze(folder)
    before = (first.folder / "train.py").stat().st_mtime_ns
    assert freeze(folder) == first
    assert (first.folder / "train.py").stat().st_mtime_ns == before
    # From the copy itself it is the same copy, too.
    again = freeze(first.folder)
    assert again.folder.resolve() == first.folder.resolve()
    build(write_spec(folder.parent.parent, summary="another"))
    assert freeze(folder).folder != first.folder


@pytest.mark.parametrize("change", ["edit", "remove", "add"])
def test_a_changed_copy_is_refused(folder: Path, change: str) -> None:
    frozen = freeze(folder)
    file = frozen.package_folder / "wavetwin/runtime/training/losses.py"
    if change == "add":
        file.with_name("more.py").touch()
    else:
        file.unlink()
    if change == "edit":
        file.write_text("edited\n", encoding="utf-8")
    name = "more" if change == "add" else "losses"
    with pytest.raises(
        RunError, match=f"changed after it was frozen: wavetwin/runtime/training/{name}.py"
    ):
        freeze(folder)


def test_what_is_not_as_built_is_refused(folder: Path) -> None:
    clean = freeze(folder)
    (folder / "model.py").write_text("mine = 1\n", encoding="utf-8")
    with pytest.raises(CompileError, match="script-modified"):
        freeze(folder)
    drifted = freeze(folder, allow_drift=True)
    assert drifted.folder != clean.folder
    assert (drifted.folder / "model.py").read_text("utf-8") == "mine = 1\n"
    (folder / "model.py").write_text("mine = 2\n", encoding="utf-8")
    assert freeze(folder, allow_drift=True).folder != drifted.folder


def test_another_process_may_be_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = freeze_module._write

    def write_twice(contents: dict[str, bytes], target: Path) -> None:
        write(contents, target)
        write(contents, target)

    monkeypatch.setattr(freeze_module, "_write", write_twice)
    frozen = freeze(folder)
    assert [path.name for path in frozen.package_folder.parent.iterdir()] == [
        frozen.package_folder.name
    ]


def test_a_runs_folder_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        freeze(folder, tmp_path / "file")


def set_initial_weights(folder: Path, checkpoint: str) -> None:
    plan = json.loads((folder / "plan.json").read_bytes())
    plan["initial_weights"] = {"checkpoint": checkpoint, "channels": [0, 1]}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


def test_initial_weights_are_frozen_too(folder: Path) -> None:
    project = folder.parent.parent
    set_initial_weights(folder, "weights/first.safetensors")
    with pytest.raises(RunError, match=r"first\.safetensors is not there"):
        freeze(folder, allow_drift=True)
    file = project / "weights/first.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"one")
    one = freeze(folder, allow_drift=True)
    assert (one.package_folder / "weights/first.safetensors").read_bytes() == b"one"
    file.write_bytes(b"two")
    two = freeze(folder, allow_drift=True)
    assert two.package_folder != one.package_folder
    for outside in (str(file), "../first.safetensors"):
        set_initial_weights(folder, outside)
        with pytest.raises(RunError, match="lie outside the project"):
            freeze(folder, allow_drift=True)


def test_weights_to_start_from_are_frozen_too(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_bytes())
    project = folder.parent.parent
    plan["weights"] = StartingWeights(checkpoint="weights/w.pth").to_json()
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(RunError, match=r"w\.pth is not there; the training starts from it"):
        freeze(folder, allow_drift=True)
    (project / "weights").mkdir()
    (project / "weights/w.pth").write_bytes(b"one")
    frozen = freeze(folder, allow_drift=True)
    assert frozen.package_folder is not None
    assert (frozen.package_folder / "weights/w.pth").read_bytes() == b"one"
    # Those of a run lie behind the link to the runs.
    for fields in ({"run": "a/b"}, {"checkpoint": "runs/a/b/checkpoints/epoch-002.safetensors"}):
        plan["weights"] = StartingWeights(**fields).to_json()
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        assert freeze(folder, allow_drift=True).folder.is_dir()


def copy_package(folder: Path) -> Path:
    """A checkout of wavetwin that a test may edit; returns what PYTHONPATH names."""
    shutil.copytree(
        ROOT / "wavetwin", folder / "wavetwin", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "templates", folder / "templates")
    return folder


def run(package: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow  # seconds of starting processes
def test_a_frozen_job_is_not_reached_by_edits(tmp_path: Path) -> None:
    checkout = copy_package(tmp_path / "checkout")
    spec, data = write_spec(tmp_path / "project"), write_images(tmp_path / "data")
    command = ["-m", "wavetwin", "build", "--no-git", str(spec)]
    built = run(checkout, *command, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    folder = spec.parent / "generated/small"
    froze = run(checkout, "-m", "wavetwin.runtime.process.freeze", str(folder), cwd=tmp_path)
    assert froze.returncode == 0, froze.stderr
    frozen = Path(froze.stdout.removesuffix("\n"))
    assert "PYTHONPATH=" in froze.stderr

    # The checkout moves on, the spec too, and it is built again.
    with (checkout / "wavetwin/runtime/training/train.py").open("a", encoding="utf-8") as file:
        file.write("raise RuntimeError('of another time')\n")
    refused = run(checkout, str(folder / "train.py"), cwd=tmp_path)
    assert refused.returncode == 2
    assert "source-changed" in refused.stderr
    write_spec(spec.parent, summary="later", epochs=3)
    assert run(checkout, *command, cwd=tmp_path).returncode == 0

    # The frozen job trains what was built, in the project's runs.
    options = ("--data-root", str(data), "--device", "cpu", "--workers", "0")
    trained = run(frozen.parent.parent, str(frozen / "train.py"), *options, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    (manifest,) = spec.parent.glob("runs/small/*/manifest.json")
    document = json.loads(manifest.read_bytes())
    assert (document["status"], document["drift"]) == ("finished", [])
    build_sha256 = sha256_of((frozen / "manifest.json").read_bytes())
    assert document["build_manifest_sha256"] == build_sha256
    # Without the frozen package it does not start.
    assert run(checkout, str(frozen / "train.py"), *options, cwd=tmp_path).returncode == 2


def test_a_standalone_folder_is_its_own_package(tmp_path: Path) -> None:
    folder = build(write_spec(tmp_path / "project"), standalone=True).folder
    other = run(ROOT, "-m", "wavetwin.runtime.process.freeze", str(folder), cwd=tmp_path)
    assert other.returncode == 2
    assert (
        f"  help: set PYTHONPATH={folder}, where its own wavetwin lies, or build " in other.stderr
    )
    froze = run(folder, "-m", "wavetwin.runtime.process.freeze", str(folder), cwd=tmp_path)
    assert froze.returncode == 0, froze.stderr
    frozen = Path(froze.stdout.removesuffix("\n"))
    assert not (frozen.parent.parent / "wavetwin").exists()
    assert load_package(frozen / "wavetwin").digest == load_package(folder / "wavetwin").digest
    assert "PYTHONPATH" not in froze.stderr
    shutil.rmtree(folder)
    command = froze.stderr.splitlines()[-1].replace(" python ", f" {sys.executable} ", 1)
    help_text = subprocess.run(f"{command} --help", shell=True, check=True, capture_output=True)  # noqa: S602
    assert b"Train small" in help_text.stdout


@pytest.mark.parametrize("argv", [(), ("--runs", "x")])
def test_the_folder_has_to_be_named(argv: tuple[str, ...], tmp_path: Path) -> None:
    result = run(ROOT, "-m", "wavetwin.runtime.process.freeze", *argv, cwd=tmp_path)
    assert result.returncode == 2
    assert "error: bad-argument: the built folder is not named" in result.stderr
