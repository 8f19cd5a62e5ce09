"""slurm.sh, run by bash with stand-ins for Slurm's commands that note how they were called."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.built import build, write_images, write_spec
from tests.support.shipped import ROOT
from wavetwin.provenance.edits import find_edit
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.slurm.node import NodeTask, run_on_node

NOTE = """
import json, os, sys
def note(what, words, **more):
    with open(os.environ["STUB_LOG"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "words": words, **more}) + "\\n")
"""
SBATCH = """
names = ("PYTHON", "WAVETWIN_FROZEN", "PYTHONPATH")
note("sbatch", sys.argv[1:], cwd=os.getcwd(), **{name: os.environ.get(name) for name in names})
print("Submitted batch job 7")
"""
# One task a node. A signal goes to the tasks alone, or to all their processes: Slurms differ.
SRUN = """
import signal, subprocess
words = sys.argv[1:]
start = next(i for i, word in enumerate(words) if not word.startswith("--"))
note("srun", words[:start])
count = int(next(word for word in words if word.startswith("--nodes=")).split("=")[1])
tasks = [subprocess.Popen(words[start:], start_new_session=True) for _ in range(count)]
def forward(number, frame):
    for task in tasks:
        if task.poll() is None:
            (os.killpg if os.environ.get("STUB_SIGNALS") == "all" else os.kill)(task.pid, number)
signal.signal(signal.SIGUSR1, forward)
signal.signal(signal.SIGTERM, forward)
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = """
if sys.argv[1:3] == ["show", "hostnames"]:
    print("first-node\\nsecond-node")
else:
    note("scontrol", sys.argv[1:])
"""
SINFO = """
print(os.environ.get("STUB_GPUS", "gpu:4"))
"""
# The interpreter: torchrun's module is noted and starts its processes; the rest is the real one.
PYTHON = """
import subprocess
words = [word for word in sys.argv[1:] if word != "-u"]
if words[:2] != ["-m", "torch.distributed.run"]:
    os.execv(sys.executable, [sys.executable, *words])
start = next(i for i, word in enumerate(words) if i > 1 and not word.startswith("--"))
note("torchrun", words[2:start])
count = int(next(w for w in words if w.startswith("--nproc-per-node=")).split("=")[1])
workers = [
    subprocess.Popen([sys.executable, *words[start:]], start_new_session=True) for _ in range(count)
]
sys.exit(1 if any([worker.wait() for worker in workers]) else 0)
"""
# train.py and evaluate.py: what they are told is noted; MODE says what becomes of them.
SCRIPT = """
import signal, time
from pathlib import Path
name = Path(__file__).name
import wavetwin
launcher = os.environ.get("WAVETWIN_LAUNCHER")
here = str(Path(__file__).parent)
note(name, sys.argv[1:], folder=here, wavetwin=wavetwin.__file__, launcher=launcher)
mode = os.environ.get("MODE_" + Path(__file__).stem, "finish")
def end(status, code):
    run = Path(os.environ["STUB_RUN"])
    run.mkdir(parents=True, exist_ok=True)
    (run / "manifest.json").write_text(json.dumps({"status": status}), encoding="utf-8")
    sys.exit(code)
def stop(number, frame):
    note("told", [signal.Signals(number).name])
    end("failed" if mode == "fail when told" else "stopped", 128 + number)
if mode == "fail":
    end("failed", 2)
if mode != "finish":
    if mode == "load first":
        # Here as where torch is imported: told to stop, it does not hear it.
        note("waits", [])
        time.sleep(1.5)
    if name == "train.py":
        signal.signal(signal.SIGUSR1, stop)
        signal.signal(signal.SIGTERM, stop)
    note("waits", [])
    time.sleep(20)
    sys.exit(70)
if name == "train.py":
    end("finished", 0)
"""


def wait_until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for what a running process does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)


def signals(process: subprocess.Popen[str], line: str) -> int:
    """Return a set of signals that the kernel has of a process, such as `SigCgt`."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(rf"{line}:\s*(\w+)", status)[0], 16)


def send_in_turn(process: subprocess.Popen[str], first: int, then: int, seconds: float) -> None:
    """Send one signal after the other has been taken: of two at once, bash's `wait` hears SIGTERM alone."""
    process.send_signal(first)
    wait_until(process, lambda: not signals(process, "ShdPnd") >> first - 1 & 1)
    time.sleep(seconds)
    process.send_signal(then)


class Cluster:
    """A login node and nodes, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / 'it\'s a $HOME "project"'
        self.folder = build(write_spec(self.project)).folder
        self.data = folder / "data"
        self.log = folder / "log.jsonl"
        self.log.touch()
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (
            ("sbatch", SBATCH),
            ("srun", SRUN),
            ("scontrol", SCONTROL),
            ("sinfo", SINFO),
            ("python", PYTHON),
        ):
            (programs / name).write_text(f"#!{sys.executable}\n{NOTE}{text}", encoding="utf-8")
            (programs / name).chmod(0o755)
        digest = json.loads((self.folder / "plan.json").read_bytes())["training_digest"]
        self.run_folder = self.project / f"runs/small/{digest[:8]}-s0"
        spool = folder / "spool"
        spool.mkdir()
        self.spooled = Path(shutil.copy(self.folder / "slurm.sh", spool / "slurm_script"))
        own = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        self.login = own | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "STUB_LOG": str(self.log),
            "STUB_RUN": str(self.run_folder),
            "REPEAT_SECONDS": "0.2",
        }
        self.job = self.login | {
            "SLURM_JOB_ID": "7",
            "SLURM_SUBMIT_DIR": str(self.folder),
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_GPUS_ON_NODE": "1",
            "SLURM_CPUS_PER_TASK": "3",
            "SLURM_JOB_NODELIST": "first-node,second-node",
        }

    def placeholder_scripts(self, folder: Path | None = None) -> None:
        for name in ("train.py", "evaluate.py"):
            file = (folder or self.folder) / name
            file.unlink()
            file.write_text(NOTE + SCRIPT, encoding="utf-8")
        # An edited script runs as another run.
        edit = find_edit(folder or self.folder).digest
        self.job["STUB_RUN"] = f"{self.run_folder}-edited-{edit}"

    def start(self, *label: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(self.spooled), *label],
            env=self.job | variables,
            cwd=self.project,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *label: str, **variables: str) -> tuple[int, str]:
        process = self.start(*label, **variables)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors

    def stop(
        self, number: int, waiting: int = 1, then: int | None = None, **variables: str
    ) -> tuple[int, str]:
        """Start a job and send its shell a signal, or two, when so many processes wait."""
        process = self.start(**variables)
        wait_until(process, lambda: len(self.notes("waits")) >= waiting)
        if then is None:
            process.send_signal(number)
        else:
            send_in_turn(process, number, then, 0.1)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors

    def submit(self, *label: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.folder / "slurm.sh"), *label],
            env=self.login | variables,
            cwd=self.project.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    def notes(self, what: str) -> list[dict]:
        lines = map(json.loads, self.log.read_text("utf-8").splitlines())
        return [line for line in lines if line["what"] == what]

    def label(self, what: str) -> list[list[str]]:
        return [note["words"] for note in self.notes(what)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    return Cluster(tmp_path)


def test_submitting_checks_freezes_and_queues(cluster: Cluster, tmp_path: Path) -> None:
    write_images(cluster.data)
    options = ["--data-root", "data", "--checkpoint-steps", "5"]
    result = cluster.submit(*options, SBATCH_OPTIONS="--nodes=2 --partition=gpu")
    assert result.returncode == 0, result.stderr
    assert "ok    data" in result.stdout
    (note,) = cluster.notes("sbatch")
    script = str(cluster.folder / "slurm.sh")
    assert note["words"] == ["--export=ALL", "--nodes=2", "--partition=gpu", script, *options]
    assert note["cwd"] == str(tmp_path)
    assert note["PYTHON"] == str(tmp_path / "bin/python")
    frozen = Path(note["WAVETWIN_FROZEN"])
    assert frozen.parent.parent.parent == cluster.project / "runs/small/frozen"
    assert (frozen / "train.py").read_bytes() == (cluster.folder / "train.py").read_bytes()


def test_what_cannot_start_is_not_queued(cluster: Cluster, tmp_path: Path) -> None:
    missing = ("--data-root", str(cluster.data))
    result = cluster.submit(*missing)
    assert result.returncode == 2
    assert "fail  data" in result.stdout
    assert cluster.submit(*missing, PYTHON="no-such-python").returncode == 2
    assert cluster.notes("sbatch") == []
    assert not (cluster.project / "runs").exists()
    # Where the login node does not see the data.
    assert cluster.submit(*missing, PREFLIGHT="no", PYTHON="bin/python").returncode == 0
    (note,) = cluster.notes("sbatch")
    assert note["PYTHON"] == str(tmp_path / "bin/python")
    (cluster.folder / "model.py").write_text("mine\n", encoding="utf-8")
    result = cluster.submit(*missing, PREFLIGHT="no")
    assert result.returncode == 2
    assert "script-modified" in result.stderr
    assert len(cluster.notes("sbatch")) == 1


def test_a_job_in_place_trains_and_evaluates(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.run(
        "--new",
        "--device",
        "cpu",
        "--checkpoint-steps",
        "5",
        "--checkpoint-seconds=1",
        "--runs",
        "x y",
    )
    assert code == 0, errors
    (train,), (evaluate,) = cluster.notes("train.py"), cluster.notes("evaluate.py")
    assert train["folder"] == str(cluster.folder)
    assert train["words"] == [
        *("--new", "--device", "cpu", "--checkpoint-steps", "5"),
        *("--checkpoint-seconds=1", "--runs", "x y"),
    ]
    assert evaluate["words"] == ["--device", "cpu", "--runs", "x y"]
    assert cluster.label("srun")[0] == [
        *("--nodes=1", "--ntasks=1", "--ntasks-per-node=1", "--cpus-per-task=3"),
        *("--kill-on-bad-exit=0", "--wait=120"),
    ]
    assert cluster.notes("torchrun") == []
    assert cluster.notes("scontrol") == []


def test_a_job_elsewhere_says_where_to_start_it(cluster: Cluster) -> None:
    code, errors = cluster.run(SLURM_SUBMIT_DIR=str(cluster.project))
    assert code == 2
    assert "call sbatch in the folder that small was built to" in errors


def test_a_frozen_job_runs_the_copy(cluster: Cluster) -> None:
    result = cluster.submit("--data-root", str(cluster.data), PREFLIGHT="no")
    assert result.returncode == 0, result.stderr
    frozen = Path(cluster.notes("sbatch")[0]["WAVETWIN_FROZEN"])
    cluster.placeholder_scripts(frozen)
    code, errors = cluster.run("--device", "cpu", WAVETWIN_FROZEN=str(frozen))
    assert code == 0, errors
    for name in ("train.py", "evaluate.py"):
        (note,) = cluster.notes(name)
        assert note["folder"] == str(frozen)
        assert note["words"] == ["--runs", str(cluster.project / "runs"), "--device", "cpu"]
        assert note["wavetwin"] == str(frozen.parent.parent / "wavetwin/__init__.py")


@pytest.mark.slow  # seconds of starting processes
def test_torchrun_on_several_nodes(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.run(SLURM_JOB_NUM_NODES="2", SLURM_GPUS_ON_NODE="4")
    assert code == 0, errors
    assert len(cluster.notes("train.py")) == len(cluster.notes("evaluate.py")) == 8
    for script in ("train.py", "evaluate.py"):
        # What a run records, and a report repeats.
        assert {note["launcher"] for note in cluster.notes(script)} == {"slurm.sh"}
    first, second, third, fourth = cluster.label("torchrun")
    assert (
        first
        == second
        == [
            *("--nnodes=2", "--nproc-per-node=4", "--rdzv-backend=c10d"),
            *("--rdzv-endpoint=first-node:20008", "--rdzv-id=7-0-train.py", "--max-restarts=0"),
        ]
    )
    # Evaluation meets at another port: the first one may not be free yet.
    assert third == fourth
    assert third[3:5] == ["--rdzv-endpoint=first-node:20009", "--rdzv-id=7-0-evaluate.py"]


def test_processes_of_one_node_meet_there(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.run(PROCESSES_PER_NODE="2")
    assert code == 0, errors
    assert cluster.label("torchrun")[0][1:4] == [
        *("--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"),
    ]


@pytest.mark.parametrize(("processes", "signals"), [(1, "tasks"), (2, "tasks"), (2, "all")])
def test_the_time_limit_saves_and_queues_again(
    cluster: Cluster, processes: int, signals: str
) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(
        signal.SIGUSR1,
        processes,
        MODE_train="wait",
        PROCESSES_PER_NODE=str(processes),
        STUB_SIGNALS=signals,
    )
    assert code == 0, errors
    # Each of them was told, and torchrun survived it.
    assert cluster.label("told") == [["SIGUSR1"]] * processes
    assert cluster.label("scontrol") == [["requeue", "7"]]
    assert cluster.notes("evaluate.py") == []
    assert "the run is stopped" in errors


@pytest.mark.parametrize("processes", [1, 2])
def test_the_signal_is_passed_on_until_it_is_heard(cluster: Cluster, processes: int) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(
        signal.SIGUSR1, processes, MODE_train="load first", PROCESSES_PER_NODE=str(processes)
    )
    assert code == 0, errors
    assert cluster.label("told") == [["SIGUSR1"]] * processes
    assert cluster.label("scontrol") == [["requeue", "7"]]


def test_a_task_of_an_array_queues_itself_again_and_not_the_others(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    # One of the tasks has the array's own number as its job's.
    array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    code, errors = cluster.stop(signal.SIGUSR1, MODE_train="wait", **array)
    assert code == 0, errors
    assert cluster.label("scontrol") == [["requeue", "7_3"]]


@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_a_term_after_the_time_limits_signal_does_not_forget_it(
    cluster: Cluster, script: str
) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(
        signal.SIGUSR1, then=signal.SIGTERM, **{f"MODE_{script}": "load first"}
    )
    assert code == 0, errors
    assert cluster.label("scontrol") == [["requeue", "7"]]


def test_a_cancelled_job_that_still_loads_is_not_queued_again(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(signal.SIGTERM, then=signal.SIGUSR1, MODE_train="load first")
    assert code != 0, errors
    assert cluster.label("told")[0] == ["SIGUSR1"]
    assert cluster.notes("scontrol") == []


@pytest.mark.parametrize("before", ["export?PYTHON=*", "job=?!*", None])
def test_a_signal_before_the_launcher_listens_is_not_lost(
    cluster: Cluster, tmp_path: Path, before: str | None
) -> None:
    """The shell is halted before one of its commands, or Python is while it loads."""
    cluster.placeholder_scripts()
    halted = tmp_path / "halted"
    halt = 'touch "$HALTED"; sleep 0.5'
    program = {"PYTHON" if before is None else "BASH_ENV": str(tmp_path / "halt")}
    if before is None:
        text = f'#!/bin/sh\n{halt}\nexec python "$@"\n'
    else:
        text = f"trap 'case \"$BASH_COMMAND\" in {before}) {halt};; esac' DEBUG\n"
    (tmp_path / "halt").write_text(text, encoding="utf-8")
    (tmp_path / "halt").chmod(0o755)
    process = cluster.start(MODE_train="wait", HALTED=str(halted), **program)
    wait_until(process, halted.exists)
    send_in_turn(process, signal.SIGUSR1, signal.SIGTERM, 0.1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    # The shell's halt in between lets the launcher go on.
    if before != "job=?!*":
        assert "stopped before training" in errors
        assert cluster.notes("srun") == []
    assert cluster.label("scontrol") == [["requeue", "7"]]


MOMENTS = 40


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_moment_of_a_start_loses_the_signal(cluster: Cluster) -> None:
    """Moments are drawn from the first at which bash listens to beyond the start of train.py."""
    cluster.placeholder_scripts()
    generator = random.Random(0)
    wanted = 1 << signal.SIGUSR1 - 1 | 1 << signal.SIGTERM - 1

    def listens() -> bool:
        return signals(process, "SigCgt") & wanted == wanted

    process = cluster.start(MODE_train="wait")
    wait_until(process, listens)
    begun = time.monotonic()
    wait_until(process, lambda: bool(cluster.notes("waits")))
    start_seconds = time.monotonic() - begun
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    trained = 0
    for _ in range(MOMENTS):
        cluster.log.write_text("", encoding="utf-8")
        process = cluster.start(MODE_train="wait")
        wait_until(process, listens)
        # Many of them early: the shell's own part is short.
        moment = generator.uniform(0, generator.choice((0.02, 0.2, 1.2)) * start_seconds)
        time.sleep(moment)
        send_in_turn(process, signal.SIGUSR1, signal.SIGTERM, generator.uniform(0.01, 0.1))
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, (moment, errors)
        assert cluster.label("scontrol") == [["requeue", "7"]], (moment, errors)
        trained += bool(cluster.notes("train.py"))
    # Some came before train.py was started, and some after it.
    assert 0 < trained < MOMENTS


def test_a_job_that_starts_again_resumes(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.run("--new", "--device", "cpu", SLURM_RESTART_COUNT="1")
    assert code == 0, errors
    assert cluster.label("train.py") == [["--device", "cpu"]]


@pytest.mark.parametrize(
    ("number", "variables", "code"),
    [
        (signal.SIGUSR1, {"MODE_train": "fail when told"}, 138),
        (signal.SIGUSR1, {"MODE_train": "wait", "SLURM_RESTART_COUNT": "50"}, 138),
        (signal.SIGTERM, {"MODE_train": "wait"}, 138),
    ],
    ids=["failure", "too often", "cancelled"],
)
def test_what_is_not_queued_again(
    cluster: Cluster, number: int, variables: dict[str, str], code: int
) -> None:
    cluster.placeholder_scripts()
    assert cluster.stop(number, **variables)[0] == code
    assert cluster.label("told")[0] == ["SIGUSR1"]
    assert cluster.notes("scontrol") == []
    assert cluster.notes("evaluate.py") == []


def test_a_failure_is_not_queued_again(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    assert cluster.run(MODE_train="fail")[0] == 2
    assert cluster.notes("scontrol") == []
    assert cluster.notes("evaluate.py") == []


def test_an_evaluation_that_is_cut_off_is_queued_again(cluster: Cluster) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(signal.SIGUSR1, MODE_evaluate="wait")
    assert code == 0, errors
    assert cluster.label("scontrol") == [["requeue", "7"]]


@pytest.mark.slow  # seconds of starting processes
def test_real_torchrun_survives_the_signal(cluster: Cluster, tmp_path: Path) -> None:
    cluster.placeholder_scripts()
    code, errors = cluster.stop(
        signal.SIGUSR1,
        2,
        MODE_train="wait",
        PROCESSES_PER_NODE="2",
        STUB_SIGNALS="all",
        PYTHON=sys.executable,
    )
    assert code == 0, errors
    assert cluster.label("told") == [["SIGUSR1"]] * 2
    assert cluster.label("scontrol") == [["requeue", "7"]]


@pytest.mark.slow  # seconds of starting processes
@pytest.mark.slow
def test_a_real_training_is_stopped_and_goes_on(cluster: Cluster) -> None:
    write_images(cluster.data)
    build(write_spec(cluster.project, epochs=40))
    digest = json.loads((cluster.folder / "plan.json").read_bytes())["training_digest"]
    run = cluster.project / f"runs/small/{digest[:8]}-s0"
    label = ("--device", "cpu", "--workers", "0", "--data-root", str(cluster.data))
    variables = {"PROCESSES_PER_NODE": "2", "STUB_SIGNALS": "all", "PYTHON": sys.executable}
    process = cluster.start(*label, **variables)
    deadline = time.monotonic() + 60
    while not (run / "metrics.jsonl").is_file() or not (run / "metrics.jsonl").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert cluster.label("scontrol") == [["requeue", "7"]]
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert manifest["status"] == "stopped"

    code, errors = cluster.run(*label, **variables, SLURM_RESTART_COUNT="1")
    assert code == 0, errors
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert manifest["status"] == "finished"
    first, second = manifest["lives"]
    assert (first["first_step"], second["first_step"]) == (1, first["last_step"] + 1)
    assert second["last_step"] == 40 * 2
    assert (run / "scores.json").is_file()


@pytest.mark.parametrize(
    ("options", "variables", "asked"),
    [
        ((), {}, []),
        ((), {"STUB_GPUS": "(null)\n(null)"}, ["--gpus-per-node=0"]),
        ((), {"STUB_GPUS": "(null)\ngpu:a100:2"}, []),
        (("--device", "cpu"), {}, ["--gpus-per-node=0"]),
        (("--device", "cpu"), {"SBATCH_OPTIONS": "--gres=gpu:1"}, ["--gres=gpu:1"]),
        ((), {"STUB_GPUS": "(null)", "SBATCH_OPTIONS": "-G2"}, ["-G2"]),
    ],
)
def test_a_gpu_is_asked_for_where_there_is_one_and_it_is_used(
    cluster: Cluster, options: tuple[str, ...], variables: dict[str, str], asked: list[str]
) -> None:
    done = cluster.submit(*options, PREFLIGHT="no", **variables)
    assert done.returncode == 0, done.stderr
    (words,) = cluster.label("sbatch")
    assert words[1 : 1 + len(asked)] == asked
    assert words[1 + len(asked)].endswith("slurm.sh")


@pytest.mark.parametrize("option", ["--array=0-4", "-a0-4", "--array 0-4"])
def test_an_array_would_train_one_run_several_times(cluster: Cluster, option: str) -> None:
    done = cluster.submit(PREFLIGHT="no", SBATCH_OPTIONS=option)
    assert done.returncode == 2
    assert "SBATCH_OPTIONS: error: bad-argument: every task of an array would train" in done.stderr
    assert "wavetwin sweep FILE --engine slurm" in done.stderr
    assert cluster.notes("sbatch") == []
    assert not (cluster.project / "runs").exists()


def test_a_task_of_an_array_trains_nothing(cluster: Cluster) -> None:
    code, errors = cluster.run(SLURM_ARRAY_TASK_COUNT="5", SLURM_ARRAY_TASK_ID="3")
    assert code == 2
    assert "sbatch --array: error: bad-argument: every task of an array would train" in errors
    assert cluster.notes("srun") == []
    code, errors = cluster.run(SLURM_ARRAY_TASK_COUNT="1", SLURM_ARRAY_TASK_ID="0")
    assert cluster.notes("srun"), errors


def test_a_node_that_does_not_know_the_first_ones_name_says_so() -> None:
    task = NodeTask("train.py", (), 10, 2, 1, "no-such-node.invalid:20001", "7-0-train.py")
    with pytest.raises(RunError, match=r"name no-such-node\.invalid has no address") as caught:
        run_on_node(task.arguments())
    assert "let names of nodes resolve" in str(caught.value)
