"""Write the command that starts a script as it was started, on as many processes.

The numbers of a run depend on how many processes share its batches, and not on where these are.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from wavetwin.ir.build_names import build_name

__all__ = ["Launch", "built_folder", "evaluation_command", "training_commands"]

_PORT = 29500
"""That of torchrun's own default."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What started a script, as its record says."""

    processes: int = 1
    """All of them together."""
    nodes: int | None = None
    per_node: int | None = None
    """None where it is not recorded, or is not the same on all nodes."""
    launcher: str | None = None
    device: str | None = None

    @staticmethod
    def from_record(record: object) -> Launch:
        """Read the fields of a session's machine, or of a record of scores; any may be missing."""
        values = cast("dict[str, Any]", record) if isinstance(record, dict) else {}
        processes = _count(values.get("processes")) or 1
        nodes = _count(values.get("nodes"))
        per_node = _count(values.get("processes_per_node"))
        if nodes is None or per_node is None or nodes * per_node != processes:
            per_node = None
        return Launch(processes, nodes, per_node, values.get("launcher"), values.get("device"))

    @property
    def is_slurm_script(self) -> bool:
        """Whether slurm.sh of the built folder started it: that evaluates after training."""
        return self.launcher == "slurm.sh" and self.per_node is not None


def built_folder(name: str, digest: str, overrides: Sequence[object]) -> str:
    """Return where `wavetwin build` puts an experiment, from the project's root."""
    return f"generated/{build_name(name, digest, overrides)}"


def training_commands(folder: str, sessions: Sequence[Any]) -> tuple[list[str], Launch]:
    """Return the lines for a shell that train again, and what started the first session.

    Args:
        folder: the built folder.
        sessions: a run's `sessions`, as its manifest has them.
    """
    known = [session for session in sessions if isinstance(session, dict)]
    command = known[0].get("command") if known else None
    script, *arguments = (
        map(str, command) if isinstance(command, list) and command else ["train.py"]
    )
    launches = [Launch.from_record(session.get("machine")) for session in known] or [Launch()]
    launch, arguments = launches[0], _without_runs(arguments)
    lines: list[str] = []
    counts = dict.fromkeys(str(each.processes) for each in launches)
    if len(counts) > 1:
        lines.append(
            f"# sessions had {', then '.join(counts)} processes: what follows has as many as the "
            "first, and gives other numbers"
        )
    if launch.is_slurm_script:
        return [*lines, _submit(launch, folder, arguments)], launch
    return [*lines, *_start(launch, f"{folder}/{script}", arguments)], launch


def evaluation_command(launch: Launch, folder: str, arguments: Sequence[str]) -> list[str]:
    """Return the lines for a shell that evaluate again."""
    return _start(launch, f"{folder}/evaluate.py", arguments)


def _without_runs(arguments: Sequence[str]) -> list[str]:
    """Drop where runs are kept: there the run is finished already."""
    kept: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--runs":
            next(given, None)
        elif not argument.startswith("--runs="):
            kept.append(argument)
    return kept


def _start(launch: Launch, script: str, arguments: Sequence[str]) -> list[str]:
    """Return the lines for a shell that start a script of a built folder again.

    Args:
        launch: what started it.
        script: its path.
        arguments: its options.
    """
    call = [script, *arguments]
    if launch.processes == 1:
        return [shlex.join(["python", *call])]
    if launch.per_node is None:
        # One node does as well.
        note = "their division over nodes is not recorded, and changes nothing"
        torchrun = ["torchrun", "--nproc-per-node", str(launch.processes), *call]
        return [f"# {launch.processes} processes; {note}", shlex.join(torchrun)]
    processes = ["--nproc-per-node", str(launch.per_node)]
    if launch.nodes == 1:
        return [shlex.join(["torchrun", *processes, *call])]
    nodes = str(launch.nodes)
    meeting = ["--rdzv-backend", "c10d", "--rdzv-id", "again", "--rdzv-endpoint"]
    torchrun = shlex.join(["torchrun", "--nnodes", nodes, *processes, *meeting])
    if launch.launcher in ("slurm.sh", "srun"):
        first = '"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
        return [
            f"# inside a job of Slurm that has {nodes} nodes",
            f"srun --nodes {nodes} --ntasks {nodes} --ntasks-per-node 1 "
            f'{torchrun} {first}:{_PORT}" {shlex.join(call)}',
        ]
    return [
        f"# on each of {nodes} nodes, with FIRST_NODE set to the name of the first one",
        f'{torchrun} "$FIRST_NODE:{_PORT}" {shlex.join(call)}',
    ]


def _submit(launch: Launch, folder: str, arguments: Sequence[str]) -> str:
    """Return the line that submits a built folder's slurm.sh for as many processes again."""
    options = f"--nodes={launch.nodes}"
    if launch.device == "cuda":
        options += f" --gpus-per-node={launch.per_node}"
    variables = f"SBATCH_OPTIONS={shlex.quote(options)} PROCESSES_PER_NODE={launch.per_node}"
    return f"{variables} {shlex.join(['bash', f'{folder}/slurm.sh', *arguments])}"


def _count(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
