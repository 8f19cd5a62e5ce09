"""Divide a machine between members: processor cores by the threads of each, or one GPU for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

__all__ = ["divide_machine"]

VISIBLE = "CUDA_VISIBLE_DEVICES"


def divide_machine(
    threads: int, jobs: int | None, environment: Mapping[str, str] | None = None
) -> tuple[Mapping[str, str], ...]:
    """Return the variables that each member which is trained at once gets beside the others.

    With GPUs as many members as there are of them, each with one; with `jobs` above their number several
    share one. Without any, as many as the cores have room for threads, one at least.

    Args:
        threads: of a member.
        jobs: members at once, where the user says so.
        environment: default: the process's own.
    """
    gpus = _gpus(os.environ if environment is None else environment)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    count = jobs or len(gpus) or max(1, cores // threads)
    return tuple({VISIBLE: gpus[number % len(gpus)]} if gpus else {} for number in range(count))


def _gpus(environment: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the GPUs that may be used, as `CUDA_VISIBLE_DEVICES` has them."""
    visible = environment.get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [name for name in names if name and name != "-1"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    done = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() if done.returncode == 0 else []
