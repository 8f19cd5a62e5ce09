"""List the engines: what starts, watches and stops the members of a sweep.

An engine decides nothing and holds no result: which member trains up to which epoch follows from the
results in the run folders (`course`), so that every engine trains the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wavetwin.sweep.members import Member

__all__ = ["ENGINES", "Engine", "EngineKind", "EngineOptions", "member_log"]


class Engine(Protocol):
    """What starts, watches and stops members; it decides nothing and holds no result."""

    @property
    def has_room(self) -> bool:
        """Whether another member can be started now."""
        ...

    @property
    def running(self) -> Sequence[Member]:
        """What was started and has not been reported as ended."""
        ...

    def start(self, member: Member, folder: Path, until: int) -> None:
        """Train a member up to an epoch; its state goes on from where it was left.

        Where it is trained to that epoch already, for an earlier session, it is watched from now on.
        """
        ...

    def ended(self) -> Sequence[tuple[Member, int]]:
        """Return what has ended since the last call, with the exit code; negative for a signal."""
        ...

    def stop(self) -> None:
        """Ask all to save and stop, and wait until they have."""
        ...

    def log(self, member: Member) -> Path:
        """Return the file that has what a member's scripts print."""
        ...


def member_log(logs: Path, member: Member) -> Path:
    """Return the file that has what a member's scripts print, whichever engine starts them."""
    return logs / f"{member.run.name}.log"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine is made by."""

    folder: Path
    """Of the sweep: its logs, and what an engine keeps from one session to the next."""
    arguments: Sequence[str]
    """Of every train.py."""
    num_members: int
    """That are left, or may be."""
    threads: int
    """Of a member."""
    on_cpu: bool
    """Whether members are told to use no GPU."""
    jobs: int | None
    """Members at once, where the user says so."""
    slots: Sequence[Mapping[str, str]]
    """What this machine is divided into: variables of each member that is trained on it at once."""
    address: str | None
    """Of a cluster, where the user says one."""

    @property
    def logs(self) -> Path:
        """The folder of what members print."""
        return self.folder / "logs"


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine that a user can choose."""

    name: str
    text: str
    """What it is, as a clause."""
    make: Callable[[EngineOptions], Engine]
    takes_address: bool = False
    """Whether the user can name a cluster."""
    patience: float = 0.0
    """Seconds after which what another node has written is seen here: network file systems keep what they know."""


def _local(options: EngineOptions) -> Engine:
    from wavetwin.sweep.local import LocalEngine

    return LocalEngine(options)


def _ray(options: EngineOptions) -> Engine:
    from wavetwin.sweep.on_ray import RayEngine

    return RayEngine(options)


def _slurm(options: EngineOptions) -> Engine:
    from wavetwin.sweep.on_slurm import SlurmEngine

    return SlurmEngine(options)


_NETWORK = 65.0
"""NFS keeps attributes for 60 seconds at most, by its defaults."""
ENGINES = {
    each.name: each
    for each in (
        EngineKind("local", "processes of this machine", _local),
        EngineKind(
            "ray",
            "tasks of a Ray, started here or at --address",
            _ray,
            takes_address=True,
            patience=_NETWORK,
        ),
        EngineKind(
            "slurm", "an array of jobs of Slurm, a task a member", _slurm, patience=_NETWORK
        ),
    )
}
"""The engines, by name."""
