"""Train members as tasks of Ray, of one that is started here or of a cluster.

A task starts a member's `train.py` as a process on a node that has room for it, and returns its exit
code. Ray places and watches; it knows neither settings nor results, and none of its files is read. The
nodes share this file system and have the same environment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.follow_parent import follow_parent, following
from wavetwin.runtime.process.packages import require
from wavetwin.sweep.engines import EngineOptions, member_log
from wavetwin.sweep.members import Member

__all__ = ["RayEngine", "train_member"]

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Of a Ray that is started here: by itself it trains below everything else of the machine, and kills
    # what a worker has started before that can save.
    "RAY_worker_niceness": "0",
    "RAY_kill_child_processes_on_worker_exit": "false",
}
_TRIES = 3
"""Starts of a Ray of one's own: on a busy machine some fail."""
_START_SECONDS = 60
_FIRST_PORT, _PORTS = 20000, 100
"""Ports of the second and third start: below those that a system hands out itself."""
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 300
"""For members that save and end."""
_LAST_LINES = 12
_STOPPED = 128 + signal.SIGTERM


def train_member(command: Sequence[str], log: str, stop: str) -> int:
    """Run a script on a node until it ends; return its exit code, negative for a signal.

    Args:
        command: the script and its options.
        log: what it prints is added to it.
        stop: a file; once it is there, the script is asked to save and stop.
    """
    if Path(stop).exists():
        return _STOPPED
    with Path(log).open("ab") as stream:
        process = subprocess.Popen(
            following(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    asked = False
    while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        if not asked and Path(stop).exists():
            process.send_signal(signal.SIGTERM)
            asked = True
    return process.wait()


class RayEngine:
    """Members as tasks of Ray, each with the cores of its threads, and with a GPU where there are any."""

    def __init__(self, options: EngineOptions) -> None:
        """Connect to a cluster, or start one of this machine that ends with this process.

        Raises:
            RunError: Ray is not installed, does not start, or has no room for a member.
        """
        self._options = options
        options.logs.mkdir(parents=True, exist_ok=True)
        self._stop = options.folder / f"ray-stop-{uuid.uuid4().hex[:8]}"
        self._tasks: dict[Path, tuple[Member, Any]] = {}
        self._node: subprocess.Popen[bytes] | None = None
        self._ray = _import_ray()
        self._connect()
        self._gpus = 0 if options.on_cpu or not self._resources("GPU") else 1
        if not self._capacity:
            self._disconnect()
            raise RunError(
                "engine-has-no-room",
                f"no member fits into this Ray: it has {self._resources('CPU')} CPUs, and a member "
                f"takes {options.threads}",
                "start nodes with more of them, or lower training.threads",
            )
        remote = self._ray.remote(num_cpus=options.threads, num_gpus=self._gpus, max_retries=0)
        self._train = remote(train_member)

    @property
    def has_room(self) -> bool:
        """Whether a node is free for another member; nodes may come and go."""
        return len(self._tasks) < (self._options.jobs or self._capacity)

    @property
    def running(self) -> Sequence[Member]:
        """The members whose tasks have not ended."""
        return [member for member, _ in self._tasks.values()]

    def start(self, member: Member, folder: Path, until: int) -> None:
        """Give Ray a task that trains a member."""
        command = [sys.executable, str(folder / "train.py"), "--until-epoch", str(until)]
        self._tasks[member.run] = (
            member,
            self._train.remote(
                [*command, *self._options.arguments], str(self.log(member)), str(self._stop)
            ),
        )

    def ended(self) -> Sequence[tuple[Member, int]]:
        """Return the members whose tasks have ended, with the exit codes of their scripts."""
        found: list[tuple[Member, int]] = []
        references = [reference for _, reference in self._tasks.values()]
        if not references:
            return found
        done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        for run, (member, reference) in list(self._tasks.items()):
            if reference in done:
                del self._tasks[run]
                found.append((member, self._code(reference)))
        return found

    def stop(self) -> None:
        """Ask all to save and stop, wait, and let go of Ray."""
        references = [reference for _, reference in self._tasks.values()]
        if references:
            self._stop.touch()
            self._ray.wait(references, num_returns=len(references), timeout=_PATIENCE_SECONDS)
        self._disconnect()
        self._stop.unlink(missing_ok=True)

    def log(self, member: Member) -> Path:
        """Return the log of a member."""
        return member_log(self._options.logs, member)

    @property
    def _capacity(self) -> int:
        """Members that the nodes of now can train at once."""
        by_cores = self._resources("CPU") // self._options.threads
        return min(by_cores, self._resources("GPU")) if self._gpus else by_cores

    def _resources(self, name: str) -> int:
        return int(self._ray.cluster_resources().get(name, 0))

    def _code(self, reference: Any) -> int:
        """Return a task's exit code; that of a kill where its worker or its node is lost."""
        try:
            return self._ray.get(reference)
        except (
            self._ray.exceptions.WorkerCrashedError,
            self._ray.exceptions.NodeDiedError,
            self._ray.exceptions.LocalRayletDiedError,
            self._ray.exceptions.ObjectLostError,
            self._ray.exceptions.OutOfMemoryError,
        ):
            return -signal.SIGKILL

    def _connect(self) -> None:
        """Connect to the address, or start a Ray: twice more with ports of our choice."""
        address = self._options.address
        if address is not None:
            try:
                self._ray.init(address=address, log_to_driver=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise RunError(
                    "engine-not-started",
                    f"there is no Ray at {address}: {error}",
                    "ray start --head prints its address; without --address one is started here",
                ) from error
            return
        for attempt in range(_TRIES):
            try:
                if attempt:
                    self._start_node(attempt)
                else:
                    self._init_local()
                return
            except Exception as error:  # Ray's own are of no narrower kind
                complain(f"Ray has not started, {attempt + 1} of {_TRIES}: {error}\n")
                complain("".join(f"  {line}\n" for line in _raylet_errors()))
                self._disconnect()
        raise RunError(
            "engine-not-started",
            f"Ray does not start here, {_TRIES} times",
            "wait until the machine has less to do, or choose --engine local",
        )

    def _init_local(self) -> None:
        cores = self._options.threads * len(self._options.slots)
        self._ray.init(
            address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False
        )

    def _start_node(self, attempt: int) -> None:
        """Start a node by Ray's command, which takes ports, and connect to it."""
        first = _FIRST_PORT + _PORTS * attempt
        options = {
            "port": first,
            "node-manager-port": first + 1,
            "object-manager-port": first + 2,
            "min-worker-port": first + 10,
            "max-worker-port": first + _PORTS - 1,
            "num-cpus": self._options.threads * len(self._options.slots),
            "include-dashboard": "false",
            "node-ip-address": "127.0.0.1",
        }
        program = str(Path(sys.executable).with_name("ray"))
        self._node = subprocess.Popen(
            [
                *(program, "start", "--head", "--block", "--disable-usage-stats"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=follow_parent(),
        )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(first):
            if self._node.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no node at port {first}")
            time.sleep(_POLL_SECONDS)
        self._ray.init(address=f"127.0.0.1:{first}", log_to_driver=False)

    def _disconnect(self) -> None:
        self._ray.shutdown()
        if self._node is not None:
            self._node.terminate()
            self._node.wait()
            self._node = None


def _import_ray() -> Any:
    """Return Ray, told not to report its use, and to show the token that lies there.

    Raises:
        RunError: `package-missing`.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    require("ray", "this engine", "choose --engine local")
    import ray  # pyright: ignore[reportMissingImports]

    return ray


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _raylet_errors() -> Sequence[str]:
    """Return the last lines of what the last start of a node on this machine has complained of."""
    folder = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "session_latest" / "logs"
    file = folder / "raylet.err"
    if not file.is_file():
        return ()
    return file.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
