"""A Slurm of two nodes on this machine, for as long as a test takes: Debian's slurm-wlm and munge, as root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "setpriv")
_CONF = """
ClusterName=two
SlurmctldHost={host}(127.0.0.1)
SlurmctldAddr=127.0.0.1
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=requeue_delay=0,bf_interval=2,sched_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ReturnToService=2
PropagateResourceLimits=NONE
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{last}] CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def what_is_missing() -> str:
    """Return why it cannot be started here; empty: it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"apt-get install slurm-wlm munge: there is no {missing[0]}"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started as root"


@contextmanager
def two_node_slurm() -> Iterator[dict[str, str]]:
    """Start it; yield the variables that its commands need; stop it."""
    folder = Path(tempfile.mkdtemp(prefix="wavetwin-slurm-"))
    folder.chmod(0o755)
    for name in ("spool", "state", "log", "run", "munge"):
        (folder / name).mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for each in (folder / "munge", folder / "run", key):
        shutil.chown(each, "munge", "munge")
    (folder / "munge").chmod(0o700)
    ports = _free_ports()
    text = _CONF.format(
        host=socket.gethostname().partition(".")[0], folder=folder, ports=ports, last=ports[1] + 1
    )
    conf = folder / "slurm.conf"
    conf.write_text(text, encoding="utf-8")
    variables = {**os.environ, "SLURM_CONF": str(conf)}
    try:
        user = ("--reuid", "munge", "--regid", "munge", "--clear-groups")
        _run("setpriv", *user, "munged", "--force", *_munge_files(folder))
        _run("slurmctld", "-f", str(conf))
        for node in ("n1", "n2"):
            _run("slurmd", "-f", str(conf), "-N", node)
        deadline = time.monotonic() + 120
        while _idle_nodes(variables) < 2:
            assert time.monotonic() < deadline, (folder / "log/slurmctld.log").read_text()
            time.sleep(0.5)
        yield variables
    finally:
        pids = sorted((folder / "run").glob("*.pid"), key=lambda file: file.name == "munged.pid")
        for file in pids:
            _end(int(file.read_text(encoding="ascii")))
        shutil.rmtree(folder, ignore_errors=True)


def _munge_files(folder: Path) -> list[str]:
    names = {
        "key-file": "munge/key",
        "socket": "run/munge.socket",
        "pid-file": "run/munged.pid",
        "log-file": "munge/log",
        "seed-file": "munge/seed",
    }
    return [f"--{option}={folder / name}" for option, name in names.items()]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _idle_nodes(variables: dict[str, str]) -> int:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return len(done.stdout.split())


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)


def _free_ports() -> list[int]:
    """Return a free port, and the first of two that lie side by side."""
    for first in range(26900, 27900, 3):
        with suppress(OSError):
            probes = [socket.create_server(("127.0.0.1", first + each)) for each in range(3)]
            for probe in probes:
                probe.close()
            return [first, first + 1]
    raise AssertionError("no free ports")
