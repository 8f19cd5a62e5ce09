"""Where a run lies: `runs/<name>/<first 8 of the training digest>-s<seed>/`, then -2, -3 by `--new`.

Imports no torch: a preflight asks before anything is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavetwin.ir.plan import TrainingPlan

__all__ = ["find_runs", "run_number", "run_stem", "trial_mark"]


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
