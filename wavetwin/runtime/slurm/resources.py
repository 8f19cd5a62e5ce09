"""Choose what a job asks Slurm for: no GPU where there is none or none is used, and no array of one run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from wavetwin.runtime.process.errors import RunError

__all__ = ["array_refusal", "gpu_options", "has_array"]

_SECONDS = 60
_GPU_OPTIONS = ("--gpus", "-G", "--gres", "--gpus-per-node", "--gpus-per-task", "--gpus-per-socket")
_ARRAY_OPTIONS = ("--array", "-a")


def array_refusal(subject: str) -> RunError:
    """Return that one run is not trained several times at once.

    Args:
        subject: what asks for an array.
    """
    return RunError(
        "bad-argument",
        "every task of an array would train the same run",
        "list the seeds or values in a sweep: `wavetwin sweep FILE --engine slurm` queues one array, a "
        "task a training",
        subject=subject,
    )


def has_array(options: Sequence[str]) -> bool:
    """Return whether options of sbatch ask for an array."""
    return any(_is_of(option, _ARRAY_OPTIONS) for option in options)


def gpu_options(options: Sequence[str], device: str) -> list[str]:
    """Return the options that take back what slurm.sh asks for, a GPU, where it would not be used.

    Args:
        options: of the user, for sbatch; those that name GPUs are left to decide.
        device: as `--device` has it.
    """
    if any(_is_of(option, _GPU_OPTIONS) for option in options):
        return []
    return ["--gpus-per-node=0"] if device == "cpu" or _has_no_gpus() else []


def _is_of(option: str, names: Sequence[str]) -> bool:
    short = tuple(name for name in names if not name.startswith("--"))
    return option.partition("=")[0] in names or option.startswith(short)


def _has_no_gpus() -> bool:
    """Return whether Slurm says of all nodes that they have no GPU; False where it does not say."""
    command = ["sinfo", "--noheader", "--format=%G"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    kinds = done.stdout.split()
    return done.returncode == 0 and bool(kinds) and not any("gpu" in kind for kind in kinds)
