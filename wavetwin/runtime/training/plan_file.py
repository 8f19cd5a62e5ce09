"""Read the plan of a built folder, with the numbers that its train.py has as constants.

As built they are the same. An edited constant takes effect, is named when the run starts, and stands
in the run's own plan.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavetwin.files.json_text import parse_json
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json

__all__ = ["edited_numbers", "plan_of_run", "read_graph", "read_plan"]


def read_plan(file: Path, **numbers: object) -> TrainingPlan:
    """Return a plan with a script's own numbers: fields of it, and mappings of fields of its parts.

    Raises:
        RunError: the file is missing or damaged, or a number is of another kind than the plan's.
    """
    try:
        document: dict[str, Any] = parse_json(file.read_text(encoding="utf-8"))
        built = TrainingPlan.from_json(document)
        # As JSON has them: a tuple is a list.
        given: dict[str, Any] = parse_json(json.dumps(numbers))
        for name, value in given.items():
            document[name] = document[name] | value if isinstance(value, dict) else value
        if document["batch_size"] != built.batch_size and built.data.training_images is not None:
            steps = built.data.training_images / max(1, document["batch_size"])
            document["iterations_per_epoch"] = math.ceil(steps)
        return TrainingPlan.from_json(document)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            "file-damaged",
            f"makes no plan with the numbers of train.py: {error}",
            "build again, or set the numbers right",
            subject=file,
        ) from error


def plan_of_run(run: Path, plan: TrainingPlan) -> TrainingPlan:
    """Return the plan that a run was trained by, with the evaluation suite of a built folder's plan.

    They differ in nothing else, unless the run is of a train.py with edited numbers.

    Raises:
        RunError: a document of the run is missing or damaged.
    """
    if not read_json(run / "manifest.json").get("edited"):
        return plan
    trained = read_plan(run / "plan.json")
    return replace(trained, evaluation=plan.evaluation, digest=plan.digest)


def read_graph(file: Path) -> ModuleGraph:
    """Return the module graph of a built folder.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return ModuleGraph.from_text(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            "file-damaged", f"cannot be read: {error}", "build again", subject=file
        ) from error


def edited_numbers(plan: TrainingPlan, built: TrainingPlan) -> list[str]:
    """Return, a sentence each, what a script's constants change of the plan that was built."""
    new, old = _leaves(plan.to_json()), _leaves(built.to_json())
    return [
        f"train.py sets {name} to {new[name]}, it was built with {old[name]}"
        for name in sorted(new.keys() & old.keys())
        if new[name] != old[name]
    ]


def _leaves(document: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found
