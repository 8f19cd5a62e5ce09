"""Built folders that somebody tampered with: nothing of them runs unchecked or leads elsewhere."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import build, write_spec
from wavetwin.commands import cli
from wavetwin.diagnostics import CompileError
from wavetwin.provenance.package import load_package, sha256_of
from wavetwin.runtime.network.load_model import load_build_model
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.freeze import freeze

SHADOWS = (
    "__future__.py", "argparse.py", "importlib/__init__.py", "json.py", "model/__init__.py",
    "pathlib.py", "random.py", "sitecustomize.py", "torch.py", "usercustomize.py",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build(write_spec(tmp_path / "project")).folder


def plant(folder: Path, names: tuple[str, ...], ran: Path) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        text = f"open({str(ran / 'RAN-')!r} + {name.partition('/')[0]!r}, 'w').close()\n"
        (folder / name).write_text(text, encoding="utf-8")


def start(folder: Path, *label: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start a program where people start it: in the folder."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return subprocess.run(
        label, cwd=folder, env=own | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("standalone", [False, True])
@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "slurm.sh"])
def test_modules_beside_a_script_are_not_imported(
    script: str, standalone: bool, tmp_path: Path
) -> None:
    folder = build(write_spec(tmp_path / "project"), standalone=standalone).folder
    planted = SHADOWS if standalone else (*SHADOWS, "wavetwin/__init__.py")
    plant(folder, planted, tmp_path)
    program = "bash" if script.endswith(".sh") else sys.executable
    sbatch = tmp_path / "bin/sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(
        f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path / 'RAN-sbatch'))}\n", encoding="utf-8"
    )
    sbatch.chmod(0o755)
    search = f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}"
    result = start(folder, program, script, PYTHON=sys.executable, PREFLIGHT="no", PATH=search)
    assert [path.name for path in tmp_path.glob("RAN-*")] == []
    assert result.returncode == 2
    assert "error: script-modified: files of its folder are not as they were built" in result.stderr
    assert "json.py (was not built)" in result.stderr
    assert f" and {len(planted) - 8} more\n" in result.stderr
    assert "help: move it elsewhere" in result.stderr


def test_a_drifting_script_does_not_import_them_either(folder: Path, tmp_path: Path) -> None:
    plant(folder, SHADOWS, tmp_path)
    label = ("train.py", "--allow-drift", "--preflight", "--data-root", str(tmp_path))
    result = start(folder, sys.executable, *label)
    assert "fail  data" in result.stdout, result.stderr
    assert [path.name for path in tmp_path.glob("RAN-*")] == []


def test_what_a_person_keeps_beside_the_scripts_is_no_module(folder: Path, tmp_path: Path) -> None:
    (folder / "slurm-7.out").touch()
    (folder / "mine.sh").touch()
    (folder / "train.mine.py").touch()
    (folder / "pictures").mkdir()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/model.cpython-311.pyc").touch()
    label = ("train.py", "--preflight", "--data-root", str(tmp_path))
    result = start(folder, sys.executable, *label)
    assert "fail  data" in result.stdout, result.stderr


def test_an_extension_module_in_the_package_is_seen(folder: Path, tmp_path: Path) -> None:
    copy = build(write_spec(tmp_path / "other"), standalone=True).folder
    before = load_package(copy / "wavetwin")
    (copy / "wavetwin/provenance/record.abi3.so").write_bytes(b"")
    assert load_package(copy / "wavetwin").digest != before.digest


def test_byte_code_does_not_take_the_place_of_model_py(folder: Path) -> None:
    file = folder / "model.py"
    text = file.read_text(encoding="utf-8")
    changed = text.replace("def build_model", "def other_model")
    assert len(changed) == len(text)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text(changed, encoding="utf-8")
    os.utime(file, ns=times)
    cache = Path(importlib.util.cache_from_source(str(file)))
    import py_compile

    py_compile.compile(str(file), cfile=str(cache))
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=times)
    sys.modules.pop("model", None)
    model = load_build_model(file)(num_classes=2)
    assert type(model).__module__ == "model"
    assert sys.modules.pop("model").build_model is not None


def test_byte_code_does_not_take_the_place_of_the_copied_package(tmp_path: Path) -> None:
    """Of every module, with the time and size of its source, as Python compares them."""
    folder = build(write_spec(tmp_path / "project"), standalone=True).folder
    forged = compile(f"open({str(tmp_path / 'RAN')!r}, 'w').close()", "x", "exec")
    for file in (folder / "wavetwin").rglob("*.py"):
        found = file.stat()
        cache = Path(importlib.util.cache_from_source(str(file)))
        cache.parent.mkdir(exist_ok=True)
        head = importlib.util.MAGIC_NUMBER + bytes(4)
        head += struct.pack("<II", int(found.st_mtime), found.st_size)
        cache.write_bytes(head + marshal.dumps(forged))
    # Python itself takes them.
    start(folder.parent, sys.executable, "-c", "import wavetwin", PYTHONPATH=str(folder))
    (tmp_path / "RAN").unlink()
    label = ("train.py", "--preflight", "--data-root", str(tmp_path))
    result = start(folder, sys.executable, *label)
    assert "fail  data" in result.stdout, result.stderr
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize(
    "name", ["torch.py", "wavetwin/ir/more.so", "sitecustomize.pyc", "a/b.txt"]
)
def test_a_frozen_copy_with_a_file_too_many_is_refused(name: str, folder: Path) -> None:
    frozen = freeze(folder)
    root = frozen.folder.parent.parent
    cache = root / "wavetwin/ir/__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "plan.cpython-311.pyc").write_bytes(b"forged")
    assert freeze(folder) == frozen
    assert not cache.exists()
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).touch()
    with pytest.raises(RunError, match=f"changed after it was frozen: {name}"):
        freeze(folder)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest as somebody does who keeps its digests right."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    for name in manifest["files"]:
        if (folder / name).is_file():
            manifest["files"][name] = sha256_of((folder / name).read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "a/../../x", "", ".", "a\\..\\x", "a\0", "a//b"]
)
@pytest.mark.parametrize("what", ["file", "run"])
def test_a_manifest_that_leads_elsewhere_is_damaged(what: str, name: str, folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        if what == "run":
            manifest["name"] = name
        else:
            manifest["files"][name] = "0" * 64

    rewrite(folder, change)
    project = folder.parent.parent
    (project.parent / "x").write_text("not of the build\n", encoding="utf-8")
    before = sorted(project.parent.rglob("*"))
    with pytest.raises(CompileError, match=r"its manifest\.json is missing or damaged"):
        freeze(folder, allow_drift=True)
    assert sorted(project.parent.rglob("*")) == before


@pytest.mark.parametrize("text", ["[" * 200_000, '{"files": [], "name": "x"}', "pipe"])
def test_a_manifest_that_is_none_is_damaged(text: str, folder: Path) -> None:
    (folder / "manifest.json").unlink()
    if text == "pipe":
        os.mkfifo(folder / "manifest.json")
    else:
        (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(CompileError, match=r"its manifest\.json is missing or damaged"):
        freeze(folder)


@pytest.mark.parametrize(
    "name", ["../project/w", "a/../w", "generated/small/train.py", "wavetwin/__init__.py", "runs/w"]
)
def test_initial_weights_take_no_place_of_the_copy(name: str, folder: Path) -> None:
    project = folder.parent.parent
    file = project / name
    (project / "a").mkdir()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(file.read_bytes() if file.exists() else b"weights")
    plan = json.loads((folder / "plan.json").read_bytes())
    plan["initial_weights"] = {"checkpoint": name, "channels": [0, 1]}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    rewrite(folder, lambda manifest: None)
    with pytest.raises(RunError, match="cannot be frozen"):
        freeze(folder)


@pytest.mark.parametrize("plan", [b"[]", b"{", b'{"initial_weights": 7}', b"[" * 200_000])
def test_a_damaged_plan_is_not_frozen(plan: bytes, folder: Path) -> None:
    (folder / "plan.json").write_bytes(plan)
    rewrite(folder, lambda manifest: None)
    with pytest.raises(RunError, match=r"plan\.json is damaged"):
        freeze(folder)


def test_a_link_is_frozen_as_the_file_that_was_built(folder: Path, tmp_path: Path) -> None:
    """Nothing is written to what a link, or a second name of the same file, leads to."""
    aside = tmp_path / "train.py"
    aside.write_bytes((folder / "train.py").read_bytes())
    (folder / "train.py").unlink()
    (folder / "train.py").symlink_to(aside)
    os.link(folder / "model.py", tmp_path / "model.py")
    frozen = freeze(folder).folder
    assert not (frozen / "train.py").is_symlink()
    assert (frozen / "model.py").stat().st_nlink == 1
    assert os.access(aside, os.W_OK)


def test_nothing_is_written_through_what_lies_in_the_way_of_a_copy(
    folder: Path, tmp_path: Path
) -> None:
    frozen = freeze(folder)
    aim = tmp_path / "aim"
    aim.mkdir()
    target = frozen.folder.parent.parent
    target.rename(tmp_path / "moved")
    target.with_name(f".{target.name}.{os.getpid()}.new").symlink_to(aim)
    with pytest.raises(RunError, match="cannot be written"):
        freeze(folder)
    assert list(aim.iterdir()) == []


@pytest.mark.parametrize("name", ["train.py", "manifest.json"])
def test_a_pipe_in_a_built_folder_is_not_waited_for(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent.parent)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    for label in (["build", "small.yaml", "--no-git"], ["build", "small.yaml", "--check"]):
        assert cli.main(label) == 2
        assert "error: cannot-write: this is no file" in capsys.readouterr().err
