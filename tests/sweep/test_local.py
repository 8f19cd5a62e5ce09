"""Members as processes: slots, logs, signals, and what a machine is divided into."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.small_sweep import members_of_three_seeds
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.engines import EngineOptions
from wavetwin.sweep.folder import hold_sweep
from wavetwin.sweep.local import LocalEngine
from wavetwin.sweep.machine import divide_machine
from wavetwin.sweep.members import Member

SCRIPT = """
import os, signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
print(os.environ.get("SLOT"), sys.argv[1:], flush=True)
while sys.argv[2] == "9":
    time.sleep(0.01)
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def members(tmp_path: Path) -> tuple[Member, ...]:
    return members_of_three_seeds(tmp_path, "train.py", SCRIPT)


def options(
    folder: Path, slots: Sequence[Mapping[str, str]], arguments: Sequence[str]
) -> EngineOptions:
    return EngineOptions(folder, arguments, 3, 1, True, None, slots, None)


def wait(engine: LocalEngine) -> list[tuple[Member, int]]:
    found: list[tuple[Member, int]] = []
    while engine.running:
        found += engine.ended()
        time.sleep(0.01)
    return found


def test_members_have_slots_and_logs(members: tuple[Member, ...], tmp_path: Path) -> None:
    slots = ({"SLOT": "a"}, {"SLOT": "b"})
    engine = LocalEngine(options(tmp_path, slots, ["--device", "cpu"]))
    first, second, third = members
    engine.start(first, tmp_path, 3)
    assert engine.has_room
    engine.start(second, tmp_path, 4)
    assert not engine.has_room
    assert sorted(wait(engine), key=lambda each: each[1]) == [(first, 3), (second, 4)]
    engine.start(third, tmp_path, 5)
    assert wait(engine) == [(third, 5)]
    texts = [engine.log(each).read_text(encoding="utf-8") for each in members]
    assert texts == [
        f"{slot} ['--until-epoch', '{until}', '--device', 'cpu']\n"
        for slot, until in (("a", 3), ("b", 4), ("a", 5))
    ]


def test_stopping_lets_members_save(members: tuple[Member, ...], tmp_path: Path) -> None:
    engine = LocalEngine(options(tmp_path, ({}, {}), []))
    for member in members[:2]:
        engine.start(member, tmp_path, 9)
    while not all(engine.log(each).stat().st_size for each in members[:2]):
        time.sleep(0.01)
    engine.stop()
    assert {code for _, code in engine.ended()} == {128 + 15}
    assert all("saved" in engine.log(each).read_text(encoding="utf-8") for each in members[:2])


def test_one_process_drives_a_sweep(tmp_path: Path) -> None:
    with (
        hold_sweep(tmp_path / "s"),
        pytest.raises(RunError, match="another process drives a sweep of this name"),
        hold_sweep(tmp_path / "s"),
    ):
        pass
    with hold_sweep(tmp_path / "s"):
        pass


def test_a_machine_is_divided_by_gpus_or_by_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert divide_machine(2, None, {"CUDA_VISIBLE_DEVICES": ""}) == ({},) * 4
    assert divide_machine(16, None, {"CUDA_VISIBLE_DEVICES": ""}) == ({},)
    assert divide_machine(2, 3, {"CUDA_VISIBLE_DEVICES": "-1"}) == ({},) * 3
    named = divide_machine(2, None, {"CUDA_VISIBLE_DEVICES": "2,5"})
    assert named == ({"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "5"})
    assert [
        each["CUDA_VISIBLE_DEVICES"]
        for each in divide_machine(2, 3, {"CUDA_VISIBLE_DEVICES": "2,5"})
    ] == [
        "2",
        "5",
        "2",
    ]
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint('0\\n1')\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [each["CUDA_VISIBLE_DEVICES"] for each in divide_machine(2, None, {})] == ["0", "1"]
