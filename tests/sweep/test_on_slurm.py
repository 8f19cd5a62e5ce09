"""Members as tasks of Slurm, with stand-ins for its commands that keep a queue in a file.

The real Slurm is asked in `test_clusters`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_sweep import members_of_three_seeds
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep import on_slurm, slurm_queue
from wavetwin.sweep.engines import EngineOptions
from wavetwin.sweep.members import Member
from wavetwin.sweep.on_slurm import SlurmEngine
from wavetwin.sweep.slurm_queue import TaskState, parse_states

# A released task runs at once, in the foreground; where `hold-on` is there it stays as it is.
SLURM = """
import json, os, pathlib, subprocess, sys
root = pathlib.Path(os.environ["STUB"])
file = root / "queue.json"
queue = json.loads(file.read_text()) if file.exists() else {}
program, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with (root / "calls").open("a") as calls:
    calls.write(json.dumps([program, *words]) + "\\n")
def option(name):
    return next((word.partition("=")[2] for word in words if word.startswith(f"--{name}=")), None)
if (root / "half").exists() and program == "squeue":
    print("7_0 RUNN")
    sys.exit(0)
if (root / "down").exists():
    sys.exit(f"{program}: error: Unable to contact slurm controller")
if program == "sinfo":
    print(os.environ.get("STUB_GPUS", "gpu:4"))
    sys.exit(0)
if program == "sbatch":
    if "--nonsense" in words:
        sys.exit("sbatch: error: unrecognized option '--nonsense'")
    job = str(7 + len(queue))
    last = int(option("array").partition("-")[2].partition("%")[0])
    held = ["PENDING", "JobHeldUser", 0]
    queue[job] = {"name": option("job-name"), "command": words[-2:], "tasks": [held] * (last + 1)}
    if (root / "dies").exists():
        file.write_text(json.dumps(queue))
        os.kill(os.getpid(), int((root / "dies").read_text()))
    print(job)
elif program == "scontrol":
    job, index = words[1].split("_")
    command = queue[job]["command"]
    if (root / "hold-on").exists():
        queue[job]["tasks"][int(index)] = ["RUNNING", "None", 0]
    else:
        code = subprocess.run(["bash", *command], env={**os.environ, "SLURM_ARRAY_TASK_ID": index}).returncode
        queue[job]["tasks"][int(index)] = ["FAILED" if code else "COMPLETED", "None", code << 8]
elif program == "scancel":
    for job in words:
        for task in queue[job]["tasks"]:
            if task[0] in ("PENDING", "RUNNING"):
                task[:] = ["CANCELLED", "None", 15]
elif "--name" in words:
    name = words[words.index("--name") + 1]
    print(*[job for job, each in queue.items() if each["name"] == name])
else:
    jobs = option("jobs").split(",")
    if len(jobs) == 1 and jobs[0] not in queue:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    for job in jobs:
        for index, (state, reason, status) in enumerate(queue.get(job, {"tasks": []})["tasks"]):
            print(f"{job}_{index}", state, status, reason)
file.write_text(json.dumps(queue))
"""
MEMBER = """#!/bin/bash
#SBATCH --job-name=of-a-member
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --requeue
echo "$@"
exit "$2"
"""


class Stub:
    """What the stand-ins keep."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def calls(self, program: str) -> list[list[str]]:
        lines = (self.root / "calls").read_text(encoding="utf-8").splitlines()
        return [words for program_, *words in map(json.loads, lines) if program_ == program]

    def queue(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "queue.json").read_text(encoding="utf-8"))
        return found

    def set_task(self, job: str, index: int, *state: object) -> None:
        queue = self.queue()
        queue[job]["tasks"][index] = state
        (self.root / "queue.json").write_text(json.dumps(queue), encoding="utf-8")


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    root = tmp_path / "slurm"
    root.mkdir()
    for name in ("sbatch", "sinfo", "squeue", "scontrol", "scancel"):
        program = root / name
        program.write_text(f"#!{sys.executable} -S\n{SLURM}", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB", str(root))
    monkeypatch.setattr(slurm_queue, "POLL_SECONDS", 0.01)
    return Stub(root)


@pytest.fixture
def members(tmp_path: Path) -> tuple[Member, ...]:
    return members_of_three_seeds(tmp_path, "slurm.sh", MEMBER)


def engine(folder: Path, jobs: int | None = None, on_cpu: bool = True) -> SlurmEngine:
    arguments = ["--device", "a b"]
    return SlurmEngine(EngineOptions(folder / "a", arguments, 3, 2, on_cpu, jobs, (), None))


def wait(engine: SlurmEngine) -> Iterator[tuple[Member, int]]:
    while engine.running:
        yield from engine.ended()


def test_members_are_tasks_of_one_array(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path
) -> None:
    slurm = engine(tmp_path, jobs=2)
    first, second, third = members
    slurm.start(first, tmp_path, 3)
    slurm.start(second, tmp_path, 0)
    assert not slurm.has_room
    assert list(wait(slurm)) == [(first, 3), (second, 0)]
    slurm.start(third, tmp_path, 137)
    assert list(wait(slurm)) == [(third, 137)]
    assert slurm.log(first).read_text(encoding="utf-8") == "--until-epoch 3 --device a b\n"
    (call,) = stub.calls("sbatch")
    assert {"--hold", "--array=0-2%2", "--cpus-per-task=2", "--gpus-per-node=0"} <= set(call)
    script = Path(call[-2]).read_text(encoding="utf-8")
    assert "#SBATCH --time=24:00:00\n#SBATCH --requeue\n" in script
    assert "of-a-member" not in script
    # One that goes on gets a further array of one task.
    slurm.start(first, tmp_path, 5)
    assert list(wait(slurm)) == [(first, 5)]
    assert "--array=0-0%2" in stub.calls("sbatch")[1]
    slurm.stop()


def test_a_sweep_in_a_job_gives_its_members_nothing_of_it(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_job = ("SLURM_JOB_ID", "SLURM_GPUS_ON_NODE", "SLURM_MEM_PER_NODE", "SLURM_RESTART_COUNT")
    for name in (*of_the_job, "SLURM_CONF"):
        monkeypatch.setenv(name, "7")
    (tmp_path / "slurm.sh").write_text("env\n", encoding="utf-8")
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 0)
    assert list(wait(slurm)) == [(members[0], 0)]
    log = slurm.log(members[0]).read_text(encoding="utf-8")
    names = {line.partition("=")[0] for line in log.splitlines()}
    assert {each for each in names if each.startswith("SLURM")} == {
        "SLURM_ARRAY_TASK_ID",
        "SLURM_CONF",
    }


def test_an_array_has_as_many_tasks_as_slurm_takes(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_slurm, "_LARGEST", 2)
    (stub.root / "hold-on").touch()
    slurm = engine(tmp_path)
    for member in members:
        slurm.start(member, tmp_path, 3)
    arrays = [word for call in stub.calls("sbatch") for word in call if "--array" in word]
    assert arrays == ["--array=0-1", "--array=0-0"]
    before = len(stub.calls("squeue"))
    for job, index in (("7", 0), ("7", 1), ("8", 0)):
        stub.set_task(job, index, "COMPLETED", "None", 0)
    while not (ended := slurm.ended()):
        pass
    assert ended == [(member, 0) for member in members]
    # The queue is asked once for all arrays.
    assert len(stub.calls("squeue")) == before + 1


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_an_sbatch_that_is_killed_may_have_queued_its_array(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, signal_: signal.Signals
) -> None:
    (stub.root / "dies").write_text(str(int(signal_)), encoding="utf-8")
    with pytest.raises(RunError, match="sbatch refuses the array"):
        engine(tmp_path).start(members[0], tmp_path, 0)
    (stub.root / "dies").unlink()
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 0)
    assert list(wait(slurm)) == [(members[0], 0)]
    assert len(stub.queue()) == 1


@pytest.mark.parametrize("kinds", ["gpu:4", "(null)"])
def test_gpus_are_asked_for_where_there_are_some_and_members_train_on_them(
    stub: Stub,
    members: tuple[Member, ...],
    tmp_path: Path,
    kinds: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STUB_GPUS", kinds)
    slurm = engine(tmp_path, on_cpu=False)
    slurm.start(members[0], tmp_path, 0)
    (call,) = stub.calls("sbatch")
    assert ("--gpus-per-node=0" in call) == (kinds == "(null)")
    assert "#SBATCH --gpus-per-node=1\n" in Path(call[-2]).read_text(encoding="utf-8")


def test_a_second_session_watches_what_the_first_has_released(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path
) -> None:
    (stub.root / "hold-on").touch()
    first, second, _ = members
    engine(tmp_path).start(first, tmp_path, 3)
    again = engine(tmp_path)
    assert again.running == []
    again.start(first, tmp_path, 3)
    again.start(second, tmp_path, 3)
    assert len(stub.calls("sbatch")) == 1
    assert len(stub.calls("scontrol")) == 2
    assert again.ended() == []
    stub.set_task("7", 0, "FAILED", "NonZeroExitCode", 2 << 8)
    stub.set_task("7", 1, "NODE_FAIL", "NodeDown", 0)
    assert list(wait(again)) == [(first, 2), (second, -9)]


def test_a_task_that_trains_to_another_epoch_is_followed_by_one_that_does_not(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path
) -> None:
    (stub.root / "hold-on").touch()
    engine(tmp_path).start(members[0], tmp_path, 3)
    again = engine(tmp_path)
    again.start(members[0], tmp_path, 4)
    (stub.root / "hold-on").unlink()
    stub.set_task("7", 0, "COMPLETED", "None", 0)
    assert list(wait(again)) == [(members[0], 4)]


def test_an_array_whose_number_was_not_heard_is_found_by_its_name(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    real = slurm_queue.SlurmQueue._write_record
    written: list[int] = []

    def write_once(queue: slurm_queue.SlurmQueue) -> None:
        written.append(1)
        if len(written) == 2:
            raise KilledError
        real(queue)

    with monkeypatch.context() as patch:
        patch.setattr(slurm_queue.SlurmQueue, "_write_record", write_once)
        with pytest.raises(KilledError):
            engine(tmp_path).start(members[0], tmp_path, 0)
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 0)
    assert list(wait(slurm)) == [(members[0], 0)]
    assert len(stub.queue()) == 1


def test_stopping_cancels_everything_and_the_next_session_queues_anew(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path
) -> None:
    (stub.root / "hold-on").touch()
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 3)
    slurm.stop()
    assert {each[0] for each in stub.queue()["7"]["tasks"]} == {"CANCELLED"}
    (stub.root / "hold-on").unlink()
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 0)
    assert list(wait(slurm)) == [(members[0], 0)]
    assert [call[0:3] for call in stub.calls("sbatch")] == [
        ["--parsable", "--hold", "--export=ALL"]
    ] * 2


def test_a_task_that_somebody_cancels_stops_the_sweep(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path
) -> None:
    (stub.root / "hold-on").touch()
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 3)
    stub.set_task("7", 0, "CANCELLED", "None", 15)
    with pytest.raises(RunError, match="somebody cancelled job 7_0"):
        list(wait(slurm))


@pytest.mark.parametrize("trouble", ["down", "half"])
def test_a_controller_that_is_down_for_a_while_ends_nothing(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, trouble: str
) -> None:
    (stub.root / "hold-on").touch()
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 3)
    (stub.root / trouble).touch()
    before = len(stub.calls("squeue"))
    while len(stub.calls("squeue")) < before + 2:
        assert slurm.ended() == []
    (stub.root / trouble).unlink()
    stub.set_task("7", 0, "COMPLETED", "None", 0)
    assert list(wait(slurm)) == [(members[0], 0)]


def test_what_slurm_refuses_is_said(
    stub: Stub, members: tuple[Member, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_OPTIONS", "--time=1 --array=0-3")
    with pytest.raises(RunError, match="a sweep queues arrays of its own"):
        engine(tmp_path)
    monkeypatch.setenv("SBATCH_OPTIONS", "--nonsense")
    with pytest.raises(RunError, match="sbatch refuses the array: sbatch: error: unrecognized"):
        engine(tmp_path).start(members[0], tmp_path, 0)
    # The next session sees that nothing was queued.
    monkeypatch.delenv("SBATCH_OPTIONS")
    slurm = engine(tmp_path)
    slurm.start(members[0], tmp_path, 0)
    assert list(wait(slurm)) == [(members[0], 0)]
    for damaged in ('[{"name": ', '[{"name": "a", "count": 1e999, "job": null}]', "[{}]"):
        (tmp_path / "a/slurm/arrays.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(RunError, match="cannot be read"):
            engine(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="there is no sbatch here"):
        engine(tmp_path)


def test_states_of_the_queue_are_read() -> None:
    text = (
        "12_0 RUNNING 0 None\n12_1 PENDING 0 JobHeldUser\n12_2 PENDING 0 Priority\n"
        "12_3 COMPLETED 0 None\n12_4 FAILED 512 NonZeroExitCode\n12_5 FAILED 9 RaisedSignal:9\n"
        "12_6 OUT_OF_MEMORY 256 OutOfMemory\n12_7 TIMEOUT 15 TimeLimit\n12_8 COMPLETING 0 None\n"
        # As Slurm 22.05 says it where all nodes are down.
        "12_9 PENDING 0           Nodes required for job are DOWN, DRAINED\n"
    )
    states = parse_states(text)
    assert [each.phase for each in states.values()] == [
        *("live", "held", "live", "ended", "ended", "ended", "ended", "ended", "live", "live")
    ]
    codes = [each.code for each in states.values() if each.phase == "ended"]
    assert codes == [0, 2, -9, -9, -9]
    assert states["12_4"] == TaskState("FAILED", False, 512)
