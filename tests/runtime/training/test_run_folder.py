"""Run folders: names, locks, refusals, lives, and what the scripts' arguments do."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run, render_template, run_here, tiny_graph
from wavetwin.provenance.package import version_difference
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.process.errors import RunError, fault_code
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.process.scripts import ScriptArguments, parse_arguments, project_of
from wavetwin.runtime.training import run_lock
from wavetwin.runtime.training.records import JsonLines, read_epochs, read_lines
from wavetwin.runtime.training.run_folder import RunFolder, find_run

PROVENANCE = RunProvenance({"sources": [], "versions": {"torch": "1.0"}}, "f" * 64, ())
PLAN = make_plan()


def arguments(*label: str, training: bool = True) -> ScriptArguments:
    return parse_arguments("a 100% test", training=training, arguments=label)


def open_run(project: Path, *label: str, plan=PLAN, provenance=PROVENANCE) -> RunFolder:
    script_folder = project / "generated" / plan.name
    script_folder.mkdir(parents=True, exist_ok=True)
    return RunFolder.open(script_folder, plan, tiny_graph("tiny"), arguments(*label), provenance)


def test_where_a_run_lies(tmp_path: Path):
    run = open_run(tmp_path)
    assert run.path == tmp_path / "runs/tiny/a1b2c3d4-s7"
    run.close()
    elsewhere = open_run(tmp_path, "--runs", str(tmp_path / "else where"))
    assert elsewhere.path == tmp_path / "else where/tiny/a1b2c3d4-s7"
    elsewhere.close()
    assert project_of(tmp_path / "out/tiny") == tmp_path / "out"


def test_new_adds_a_number_and_the_last_one_resumes(tmp_path: Path):
    names = []
    for label in ((), ("--new",), (), ("--new",), ()):
        run = open_run(tmp_path, *label)
        names.append(run.path.name.removeprefix("a1b2c3d4-s7"))
        run.close()
    assert names == ["", "-2", "-2", "-3", "-3"]


def test_a_trial_lies_apart(tmp_path: Path):
    run = open_run(tmp_path, "--limit-batches", "2")
    assert run.path.name == "a1b2c3d4-s7-limit2"
    run.close()


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("2.15.0", "2.15.0+cu132", None),
        ("2.15.0+cpu", "2.15.0", None),
        ("2.15.0+cu132", "2.15.0+cu132", None),
        ("2.15.0+cpu", "2.15.0+cu132", ("2.15.0+cpu", "2.15.0+cu132")),
        ("2.14.1", "2.15.0+cu132", ("2.14.1", "2.15.0")),
        ("2.15.0a0+git12", "2.15.0", ("2.15.0a0", "2.15.0")),
    ],
)
def test_a_local_version_is_a_difference_where_both_have_one(
    old: str, new: str, shown: tuple[str, str] | None
):
    assert version_difference(old, new) == shown


def test_the_same_torch_under_another_local_version_warns_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    built = replace(PROVENANCE, manifest={"sources": [], "versions": {"torch": "2.15.0"}})
    monkeypatch.setattr(torch, "__version__", "2.15.0+cu132")
    run = open_run(tmp_path, provenance=built)
    assert run.begin_life(0, torch.device("cpu")) == []
    run.close()


def test_two_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_lock, "LOCK_WAIT_SECONDS", 0.3)
    run = open_run(tmp_path)
    with pytest.raises(RunError, match=r"another process trains in .*a1b2c3d4-s7 \(process \d+"):
        open_run(tmp_path)
    run.close()
    open_run(tmp_path).close()


def test_another_training_is_refused(tmp_path: Path):
    open_run(tmp_path).close()
    other = replace(PLAN, training_digest="a1b2c3d4" + "1" * 56)
    with pytest.raises(RunError, match="is a run of another training"):
        open_run(tmp_path, plan=other)


def test_manifest_and_lives(tmp_path: Path):
    drifted = replace(PROVENANCE, drift=("script-modified: train.py",))
    run = open_run(tmp_path)
    warnings = run.begin_life(0, torch.device("cpu"))
    assert any("built with torch 1.0" in warning for warning in warnings)
    run.mark_step(11)
    run.close()  # as a kill leaves it
    run = open_run(tmp_path, provenance=drifted)
    run.begin_life(10, torch.device("cpu"))
    run.mark_step(15)
    run.end_life("finished", 12.5)
    run.close()
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert [(session["first_step"], session["last_step"]) for session in manifest["lives"]] == [
        (1, 11),
        (11, 15),
    ]
    assert [session["outcome"] for session in manifest["lives"]] == ["killed", "finished"]
    assert manifest["drift"] == ["script-modified: train.py"]
    assert manifest["status"] == "finished"
    assert manifest["parameters"] == {"trainable": 1594, "frozen": 0}
    assert manifest["lives"][0]["machine"]["torch"] == torch.__version__


def test_evaluation_needs_weights(tmp_path: Path):
    with pytest.raises(RunError, match="no trained weights"):
        find_run(tmp_path / "generated/tiny", PLAN, arguments(training=False))


def test_json_lines_are_cut_back(tmp_path: Path):
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"step": 1})
    position = lines.position()
    lines.append({"step": 2})
    lines.cut_back(position)
    lines.append({"step": 3})
    lines.close()
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"step": 4')
    assert list(read_lines(tmp_path / "metrics.jsonl")) == [{"step": 1}, {"step": 3}]


def test_a_long_log_is_read_as_a_stream_and_its_steps_are_not_parsed(tmp_path: Path):
    file = tmp_path / "metrics.jsonl"
    step = json.dumps({"kind": "step", "epoch": 1, "step": 1, "loss": 0.5}) + "\n"
    values = {"loss": 0.5, "top1_error": 0.1}
    with file.open("w", encoding="utf-8") as stream:
        for epoch in (1, 2):
            stream.writelines([step] * 20_000)
            record = {"kind": "epoch", "epoch": epoch, "train": values, "validation": None}
            stream.write(json.dumps(record | {"time": {"seconds": 1.0}}) + "\n")
    tracemalloc.start()
    epochs = [record["epoch"] for record in read_epochs(file)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert epochs == [1, 2]
    assert peak < 200_000 < file.stat().st_size / 10
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"kind": "step", "epoch"\n')
    with pytest.raises(ValueError, match="line 40003: "):
        list(read_epochs(file))


def test_plain_progress_has_no_carriage_returns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wavetwin.runtime.process.progress.LINE_SECONDS", 0.0)
    with ProgressReport("training", 3, 1) as progress:
        progress.advance(8, "loss 1")
        progress.say("beside")
        progress.advance(8)
    output = capsys.readouterr().out
    assert "training: 2/3  loss 1" in output
    assert "\r" not in output
    assert len(output.splitlines()) == 3


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with ProgressReport("[bold]training", 2) as progress:
        progress.advance(8, "loss 1")
        progress.say("[beside]")
        progress.advance(8)


def test_help_imports_no_torch(tmp_path: Path):
    folder = build_folder(tmp_path / "a folder with spaces", PLAN)
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['train.py', '--help']\nsys.path.insert(0, {str(folder)!r})\n"
        f"try:\n    runpy.run_path({str(folder / 'train.py')!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'rich')))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "runs/tiny/a1b2c3d4-s7" in result.stdout


def test_wrong_arguments_exit_with_2(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        arguments("--workers", "-1")
    assert stop.value.code == 2
    assert "--workers" in capsys.readouterr().err


def test_edited_script_stops_or_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = build_folder(tmp_path, make_plan(epochs=1))
    script = folder / "train.py"
    script.write_text(script.read_text() + "\n# edited\n", encoding="utf-8")
    assert run_here(script, "--device", "cpu") == 2
    assert not (tmp_path / "runs").exists()
    capsys.readouterr()
    assert run_here(script, "--device", "cpu", "--allow-drift") == 0
    manifest = json.loads((only_run(tmp_path) / "manifest.json").read_text())
    assert "script-modified: train.py" in manifest["drift"]


def test_unknown_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = build_folder(tmp_path, PLAN)
    assert run_here(folder / "train.py", "--device", "warp", "--allow-drift") == 2
    assert "device 'warp' cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train.py", "evaluate.py"])
def test_scripts_are_plain_and_pass_ruff(name: str, tmp_path: Path):
    file = tmp_path / name
    file.write_text(
        render_template(name, replace(PLAN, name='it\'s "a" \\ test {{ 1 }} $HOME\n')),
        encoding="utf-8",
    )
    text = file.read_text(encoding="utf-8").replace("it's", "")
    assert "eval(" not in text
    assert "exec(" not in text
    file.write_text(render_template(name, PLAN), encoding="utf-8")
    select = 'lint.select=["E","F","I","UP","B","RUF","C90","S102","S307","T20"]'
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "100"]
    result = subprocess.run(
        [*command, "--config", select, str(file)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_a_full_disk_is_blamed_on_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not on the source of a copy; and no state is promised where none was saved."""
    build_folder(tmp_path, PLAN)
    original = os.write

    def full(descriptor: int, data: bytes) -> int:
        original(descriptor, bytes(data)[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(RunError) as caught:
            open_run(tmp_path)
    run = tmp_path / "runs/tiny/a1b2c3d4-s7"
    assert str(caught.value).startswith(f"{run}/plan.json cannot be written: No space left")
    assert "no state was saved yet" in str(caught.value)
    assert "last good state" not in str(caught.value)
    assert [path.name for path in run.iterdir()] == ["lock"]
    open_run(tmp_path).close()  # making room helps


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunError("not-finite", "is not finite"), "not-finite"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk-full"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "system-refuses"),
        (MemoryError(), "MemoryError"),
        (None, None),
    ],
)
def test_a_fault_has_a_code(error: BaseException | None, code: str | None) -> None:
    assert fault_code(error) == code
