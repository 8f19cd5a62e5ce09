"""Check on the login node that a run could start, freeze what was built, and queue it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.freeze import freeze
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.slurm.node import exit_code
from wavetwin.runtime.slurm.resources import array_refusal, gpu_options, has_array
from wavetwin.runtime.training.preflight import run_preflight

__all__ = ["submit"]


def submit(folder: Path, script: Path, options: Sequence[str]) -> int:
    """Give the frozen copy of a folder to sbatch, and return its exit code; 2 what could not start.

    A GPU is not asked for where the cluster has none, or `--device cpu` uses none.

    Variables: `PREFLIGHT=no` leaves out the check, `SBATCH_OPTIONS` has more options of sbatch,
    `PYTHON` names the interpreter; the job gets it by its full path.

    Args:
        folder: the built folder.
        script: the file that Slurm gets: slurm.sh, or a copy of it.
        options: those of train.py.

    Raises:
        RunError: the folder cannot be frozen, there is no sbatch here, or an array is asked for.
    """
    more = os.environ.get("SBATCH_OPTIONS", "").split()
    if has_array(more):
        raise array_refusal("SBATCH_OPTIONS")
    arguments = parse_arguments("options of train.py", training=True, arguments=options)
    if os.environ.get("PREFLIGHT", "yes") != "no":
        code = run_preflight(folder, arguments)
        if code != 0:
            return code
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise RunError(
            "launcher-incomplete",
            "there is no sbatch here",
            "submit where Slurm is; train.py runs without it, too",
        )
    frozen = freeze(folder, arguments.runs, arguments.allow_drift)
    complain(f"frozen; to run it:\n  {frozen.command('train.py')}\n")
    python = shutil.which(os.environ.get("PYTHON", "python")) or sys.executable
    environment = os.environ | {
        "PYTHON": os.path.abspath(python),  # noqa: PTH100 - a link into an environment stays one
        "WAVETWIN_FROZEN": str(frozen.folder),
    }
    gpus = gpu_options(more, arguments.device)
    command = [sbatch, "--export=ALL", *gpus, *more, str(script), *options]
    sys.stdout.flush()
    return exit_code(subprocess.run(command, env=environment, check=False).returncode)
