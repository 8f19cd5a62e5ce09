"""Every command that writes keeps the old file where the disk is full, and names the new one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.built import write_spec
from tests.support.run_files import ONE_CROP, epoch, record, write_run
from tests.support.shipped import spec_of
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.explain.study.folder import write_study
from wavetwin.explain.study.result import Result
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError

OLD = b"what was there"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    write_spec(folder)
    monkeypatch.chdir(folder)
    return folder


def disk_is_full(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Let every write to a file but the first `after` ones stop in its middle."""
    original, calls = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return original(descriptor, data)
        calls += 1
        if calls <= after:
            return original(descriptor, data)
        original(descriptor, bytes(data)[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)


def some_run(project: Path) -> Path:
    plan = compile_spec(project / "small.yaml").plan
    assert isinstance(plan, TrainingPlan)
    scores = [record(ONE_CROP, {"top1_error": 0.5, "top5_error": 0.25})]
    return write_run(project / "runs", plan, scores, [epoch(1, 1.0, 0.5)])


COMMANDS: dict[str, Callable[[Path, str], list[object]]] = {
    "report": lambda project, file: ["report", some_run(project), "-o", file],
    "report.md": lambda project, file: ["report", some_run(project), "-o", file],
    "packets.svg": lambda _, file: ["show", spec_of("AwyI"), "--packets", file],
    "packets.png": lambda _, file: ["show", spec_of("twin_mod"), "--packets", file],
    "graph.svg": lambda _, file: ["show", "small.yaml", "--graph", file],
    "kernels.png": lambda _, file: ["show", "small.yaml", "--kernels", file],
    "diff.html": lambda _, file: [
        "diff", "small.yaml", "--set", "training.epochs=2", "--html", file,
    ],
    "several.html": lambda _, file: [
        "diff", "small.yaml", spec_of("twin_mod"), spec_of("AwyI"), "--html", file,
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_keeps_the_old_file(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    parts = [str(word) for word in COMMANDS[name](project, name)]
    (project / name).write_bytes(OLD)
    before = sorted(path.name for path in project.iterdir())
    with monkeypatch.context() as patch:
        disk_is_full(patch)
        assert cli.main(parts) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert name in told
    assert (project / name).read_bytes() == OLD
    assert sorted(path.name for path in project.iterdir()) == before
    assert cli.main(parts) in (0, 1)  # making room helps
    assert (project / name).read_bytes() != OLD


def test_an_imported_command_leaves_no_part_of_a_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    text = "python main.py -a alexnet --lr 0.01"
    parts = ["import", "command", text, "--out", "new.yaml"]
    with monkeypatch.context() as patch:
        disk_is_full(patch)
        code = cli.main(parts)
    assert code == 2, capsys.readouterr().err
    assert not (project / "new.yaml").exists()


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("after", [0, 3])
def test_a_build_on_a_full_disk_keeps_the_old_one(
    after: int, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    build = ["build", "small.yaml", "--no-git"]
    assert cli.main(build) == 0
    built = folder_bytes(project / "generated")
    write_spec(project, epochs=3)
    with monkeypatch.context() as patch:
        disk_is_full(patch, after)
        assert cli.main(build) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert folder_bytes(project / "generated") == built
    assert cli.main(build) == 0
    assert folder_bytes(project / "generated") != built


def test_what_a_killed_build_left_is_removed_by_the_next(project: Path):
    build = ["build", "small.yaml", "--no-git"]
    assert cli.main(build) == 0
    folder = project / "generated/small"
    left = [folder / ".train.py.4194300-0.tmp", folder / ".gone.py.4194300.tmp"]
    for path in left:
        path.write_bytes(b"half")
    (folder / "notes.tmp").write_bytes(b"mine")
    assert cli.main(build) == 0  # what it builds is there already
    assert [path for path in left if path.exists()] == []
    assert (folder / "notes.tmp").read_bytes() == b"mine"


def test_a_study_on_a_full_disk_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    result = Result("sparse", "a study", (), [], [], [], {"sizes": "per image"}, [])
    folder = tmp_path / "study"
    write_study(folder, result, ["study", "sparse"], seed=1)
    old = folder_bytes(folder)
    with monkeypatch.context() as patch:
        disk_is_full(patch, after=1)
        with pytest.raises(RunError, match="No space left on device"):
            write_study(folder, result, ["study", "sparse", "again"], seed=2)
    assert folder_bytes(folder) == old
    write_study(folder, result, ["study", "sparse", "again"], seed=2)
    assert folder_bytes(folder).keys() == old.keys()
    assert folder_bytes(folder) != old
