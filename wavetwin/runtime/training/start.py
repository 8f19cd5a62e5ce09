"""Prepare a generated script: what it does before its own lines, and how it gets its images.

Imports no torch: a script is compared with its build, and a finished run reported, before that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.provenance.record import RunProvenance, check_before_run
from wavetwin.runtime.process.own_code import install_copies
from wavetwin.runtime.process.progress import say
from wavetwin.runtime.process.scripts import ScriptArguments, parse_arguments
from wavetwin.runtime.training.preflight import run_preflight
from wavetwin.runtime.training.run_names import find_finished
from wavetwin.runtime.training.seed_list import train_seeds

if TYPE_CHECKING:
    import torch

    from wavetwin.ir.plan import TrainingPlan
    from wavetwin.runtime.data import ExperimentData
    from wavetwin.runtime.process.processes import Processes

__all__ = [
    "begin_evaluation",
    "begin_training",
    "load_images",
    "start_evaluation",
    "start_training",
]


def start_training(
    train: Callable[[ScriptArguments, RunProvenance, Processes], int],
    script: str,
    description: str,
) -> int:
    """Check what was built, join the processes, and train; return the exit code.

    `--preflight` only says whether the run could start; of a finished run nothing is left to do; with
    `--seeds` another process trains them, each by its own built folder.

    Args:
        train: the script's own function.
        script: its path.
        description: for `--help`.
    """
    return begin_training(train, script, parse_arguments(description, training=True))


def begin_training(
    train: Callable[[ScriptArguments, RunProvenance, Processes], int],
    script: str,
    arguments: ScriptArguments,
) -> int:
    """Do as `start_training`, by these arguments."""
    file = Path(script)
    provenance = check_before_run(file, allow_drift=arguments.allow_drift)
    folder = file.resolve().parent
    if arguments.seeds is not None:
        train_seeds(folder, arguments.seeds, arguments.command[1:])
    if arguments.preflight:
        return run_preflight(folder, arguments)
    finished = find_finished(folder, arguments)
    if finished is not None:
        say(f"{finished} is finished; --new starts another run")
        return 0
    return _join(folder, train, arguments, provenance)


def start_evaluation(
    evaluate: Callable[[ScriptArguments, RunProvenance, Processes], int],
    script: str,
    description: str,
) -> int:
    """Check what was built, join the processes, and evaluate; return the exit code."""
    return begin_evaluation(evaluate, script, parse_arguments(description, training=False))


def begin_evaluation(
    evaluate: Callable[[ScriptArguments, RunProvenance, Processes], int],
    script: str,
    arguments: ScriptArguments,
) -> int:
    """Do as `start_evaluation`, by these arguments."""
    file = Path(script)
    provenance = check_before_run(file, allow_drift=arguments.allow_drift)
    return _join(file.resolve().parent, evaluate, arguments, provenance)


def _join(
    folder: Path,
    run: Callable[[ScriptArguments, RunProvenance, Processes], int],
    arguments: ScriptArguments,
    provenance: RunProvenance,
) -> int:
    from wavetwin.runtime.process.processes import join_processes

    # Before images are read: transforms of the project are among what changes them.
    install_copies(folder)
    with join_processes() as processes:
        return run(arguments, provenance, processes)


def load_images(
    plan: TrainingPlan,
    arguments: ScriptArguments,
    run: Path,
    device: torch.device,
    processes: Processes,
) -> ExperimentData:
    """Return the images of a run; what the first process measures of them, the others find there.

    Raises:
        RunError: they are missing or damaged, or not the official ones.
    """
    from wavetwin.runtime.data import load_data

    return processes.in_turn(
        lambda: load_data(
            plan,
            data_root=arguments.data_root,
            workers=arguments.workers,
            limit_batches=arguments.limit_batches,
            statistics_file=run / "statistics.json",
            on_bad_image=arguments.on_bad_image,
            allow_other_data=arguments.allow_other_data,
            device=device,
        )
    )
