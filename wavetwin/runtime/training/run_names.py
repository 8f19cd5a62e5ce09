"""Name run folders: `runs/<name>/<first 8 of the training digest>-s<seed>/`, then -2, -3 by `--new`.

Imports no torch: a preflight asks before anything is started, and so does a script whose run is
finished.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.edits import EDIT_DIFFERENCE, find_edit
from wavetwin.runtime.process.json_files import read_json
from wavetwin.runtime.process.scripts import ScriptArguments, runs_folder

__all__ = ["find_finished", "find_runs", "run_number", "run_stem", "trial_mark"]


def run_stem(plan: TrainingPlan, limit_batches: int | None, edit: str = "") -> str:
    """Return a run's folder name without the number that `--new` adds.

    Runs over a few batches only are trials, and those of edited scripts are of the edit, by its
    digest: they never take the place of the real run.
    """
    trial = "" if limit_batches is None else f"-limit{limit_batches}"
    edited = f"-edited-{edit}" if edit else ""
    return f"{plan.training_digest[:8]}-s{plan.seed}{trial}{edited}"


def trial_mark(manifest: Mapping[str, Any]) -> str:
    """Return what marks a run over a few batches, by its manifest; empty for a whole one."""
    limit = manifest.get("limit_batches")
    return "" if limit is None else f"trial (--limit-batches {limit})"


def run_number(path: Path, stem: str) -> int:
    """Return which run of its plan a folder is, from 1."""
    return 1 if path.name == stem else int(path.name.removeprefix(f"{stem}-"))


def find_runs(
    parent: Path, plan: TrainingPlan, limit_batches: int | None, edit: str = ""
) -> list[Path]:
    """Return the runs of a plan, or of an edit of it, below `runs/<name>`, the oldest first."""
    stem = run_stem(plan, limit_batches, edit)
    found = [path for path in (parent / stem,) if path.is_dir()]
    found += [
        path
        for path in parent.glob(f"{stem}-*")
        if path.is_dir() and path.name.removeprefix(f"{stem}-").isdigit()
    ]
    return sorted(found, key=lambda path: run_number(path, stem))


def find_finished(
    script_folder: Path, arguments: ScriptArguments, environment: Mapping[str, str] | None = None
) -> Path | None:
    """Return the run that a script would resume, if nothing is left to do in it.

    One of several processes gets None, always: each would ask at another time, and the first one
    asks for all of them later.

    Args:
        script_folder: the built folder, compared with its manifest before.
        arguments: the script's.
        environment: with the variables of torchrun; default: the process's own.

    Raises:
        RunError: the run's manifest is damaged.
    """
    variables = os.environ if environment is None else environment
    if arguments.new or "RANK" in variables:
        return None
    plan = TrainingPlan.from_text((script_folder / "plan.json").read_text(encoding="utf-8"))
    edit = find_edit(script_folder)
    parent = runs_folder(script_folder, arguments.runs) / plan.name
    runs = find_runs(parent, plan, arguments.limit_batches, edit.digest)
    if not runs or not (runs[-1] / "manifest.json").is_file():
        return None
    manifest = read_json(runs[-1] / "manifest.json")
    is_of_plan = manifest.get("training_digest") == plan.training_digest
    if not is_of_plan or manifest.get("status") != "finished":
        return None
    # An edit that does not change training is kept in the run when it is first seen.
    is_kept = not edit.files or (runs[-1] / EDIT_DIFFERENCE).exists()
    return runs[-1] if is_kept else None
