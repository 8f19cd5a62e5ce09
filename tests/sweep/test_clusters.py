"""The same sweep on this machine, on a Ray of two nodes and on a Slurm of two nodes, killed and not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.paths import CONSTRAINTS, ROOT
from tests.support.small_sweep import epochs, outcomes, said, start, wait_for_epochs, write_project
from tests.support.two_node_slurm import two_node_slurm, what_is_missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

needs_slurm = pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep as this machine trains it, undisturbed."""
    project = write_project(tmp_path_factory.mktemp("local") / "project")
    assert start(project).wait() == 0, said(project)
    return project


@pytest.fixture(scope="module")
def slurm() -> Iterator[Mapping[str, str]]:
    with two_node_slurm() as variables:
        yield variables


@pytest.fixture(scope="module")
def ray_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has Ray beside what this one has, in the version of the constraints."""
    folder = tmp_path_factory.mktemp("ray")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", CONSTRAINTS, "ray"], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "ours.pth").write_text("\n".join([*ours, str(ROOT)]), encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def ray_address(ray_python: Path) -> Iterator[str]:
    """The address of a Ray of two nodes, with a core each."""
    variables = {
        **os.environ,
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",
        "RAY_kill_child_processes_on_worker_exit": "false",
    }
    ray = [str(ray_python.with_name("ray")), "start", "--block", "--disable-usage-stats"]
    host = socket.gethostbyname(socket.gethostname())
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(2):
            first = 28000 + 500 * number
            ports = {
                "node-manager-port": first + 1,
                "object-manager-port": first + 2,
                "min-worker-port": first + 10,
                "max-worker-port": first + 199,
            }
            head = ["--head", "--port=28000", "--include-dashboard=false"]
            joins = [f"--address={host}:28000"]
            options = [f"--{name}={value}" for name, value in ports.items()]
            command = [*ray, *(joins if number else head), "--num-cpus=1", *options]
            nodes.append(subprocess.Popen(command, env=variables, start_new_session=True))
            wait_for_port(host, first + 1, nodes[-1])
        yield f"{host}:28000"
    finally:
        for node in nodes:
            node.terminate()
        for node in nodes:
            node.wait()


def wait_for_port(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError(f"nobody listens at port {port}")


def table_of(project: Path) -> str:
    """Return the table that the command ended with."""
    return said(project)[said(project).rindex("rank  point") :]


@needs_slurm
def test_slurm_trains_what_this_machine_trains(
    whole: Path, slurm: Mapping[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project")
    driver = start(project, "--engine", "slurm", environment=slurm)
    assert driver.wait() == 0, said(project)
    assert epochs(project) == epochs(whole)
    assert table_of(project) == table_of(whole)
    queued = ["squeue", "--noheader", "--array", "--format=%t"]
    done = subprocess.run(queued, env=slurm, capture_output=True, text=True, check=True)
    assert done.stdout == ""


@needs_slurm
def test_a_killed_sweep_on_slurm_queues_nothing_twice(
    whole: Path, slurm: Mapping[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project")
    driver = start(project, "--engine", "slurm", environment=slurm)
    wait_for_epochs(project, 2, driver)
    driver.kill()
    driver.wait()
    driver = start(project, "--engine", "slurm", environment=slurm)
    wait_for_epochs(project, 4, driver)
    killed = False
    while not killed and driver.poll() is None:
        killed = kill_one_training(project)
    assert driver.wait() == 0, said(project)
    assert epochs(project) == epochs(whole)
    assert table_of(project) == table_of(whole)
    assert killed
    assert "ended by signal 9" in said(project)
    arrays = [path for path in project.glob("runs/.sweeps/a/slurm/*") if path.is_dir()]
    counts = sorted(len(list(path.glob("[0-9].out"))) for path in arrays)
    # One array of the four members; who goes on has one more task each.
    assert counts[-1] == 4
    assert set(counts[:-1]) <= {1}


LONG = "wavetwin_sweep: 1\nbase: cnn.yaml\nobjective: validation.loss\nseeds: [0, 1]\n"


@needs_slurm
def test_a_task_that_queues_itself_again_leaves_the_others_alone(
    slurm: Mapping[str, str], tmp_path: Path
) -> None:
    def call(*command: str) -> list[list[str]]:
        done = subprocess.run(command, env=slurm, capture_output=True, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    def tasks() -> list[list[str]]:
        columns = "ArrayJobID:12,ArrayTaskID:12,JobID:12,State:24,RestartCnt:12"
        return call("squeue", "--noheader", "--array", f"--Format={columns}")

    project = write_project(tmp_path / "project")
    (project / "a.sweep.yaml").write_text(f"{LONG}budget: {{max_epochs: 900}}\n", "utf-8")
    variables = {**slurm, "REPEAT_SECONDS": "1"}
    driver = start(project, "--engine", "slurm", environment=variables)
    while len({run for run, _, _ in epochs(project)}) < 2:
        assert driver.poll() is None, said(project)
        time.sleep(0.2)
    # As the time limit does, to the task whose job has the array's own number.
    ((array, index),) = [(array, index) for array, index, job, *_ in tasks() if job == array]
    call("scancel", "--batch", "--signal=USR1", f"{array}_{index}")
    while {each[1]: each[4] for each in tasks()}[index] == "0":
        assert driver.poll() is None, said(project)
        time.sleep(0.2)
    time.sleep(3)
    ((state, restarts),) = [each[3:] for each in tasks() if each[1] != index]
    assert (state, restarts) == ("RUNNING", "0")
    driver.terminate()
    assert driver.wait() == 128 + signal.SIGTERM, said(project)


def kill_one_training(project: Path) -> bool:
    """Send SIGKILL to a train.py of the project; return whether there was one."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(
            word.startswith(bytes(project)) and word.endswith(b"train.py") for word in words[:3]
        ):
            os.kill(int(process.name), signal.SIGKILL)
            return True
    return False


def test_ray_trains_what_this_machine_trains_killed_and_not(
    whole: Path, ray_python: Path, ray_address: str, tmp_path: Path
) -> None:
    variables = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    options = ("--engine", "ray", "--address", ray_address)
    undisturbed, killed = write_project(tmp_path / "whole"), write_project(tmp_path / "killed")
    python = (str(ray_python),)
    driver = start(undisturbed, *options, python=python, environment=variables)
    assert driver.wait() == 0, said(undisturbed)
    assert epochs(undisturbed) == epochs(whole)
    assert table_of(undisturbed) == table_of(whole)
    driver = start(killed, *options, python=python, environment=variables)
    wait_for_epochs(killed, 2, driver)
    driver.kill()
    driver.wait()
    driver = start(killed, *options, python=python, environment=variables)
    wait_for_epochs(killed, 4, driver)
    while not kill_one_training(killed):
        assert driver.poll() is None, said(killed)
    assert driver.wait() == 0, said(killed)
    assert epochs(killed) == epochs(whole)
    assert table_of(killed) == table_of(whole)
    assert "ended by signal 9" in said(killed)


def test_a_ray_of_ones_own_ends_with_the_command(
    whole: Path, ray_python: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project")
    driver = start(project, "--engine", "ray", python=(str(ray_python),))
    wait_for_epochs(project, 2, driver)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait() == 128 + signal.SIGTERM, said(project)
    assert "members have saved their states" in said(project)
    assert set(outcomes(project)) == {"stopped"}
    assert start(project, "--engine", "ray", python=(str(ray_python),)).wait() == 0, said(project)
    assert epochs(project) == epochs(whole)
    assert table_of(project) == table_of(whole)
