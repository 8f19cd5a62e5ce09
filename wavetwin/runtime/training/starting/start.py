"""Load the weights that a training starts from, and say what was loaded and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.training.checkpoint import find_last, read_foreign
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.starting.reading import Reading
from wavetwin.runtime.training.starting.start_record import StartRecord
from wavetwin.runtime.training.starting.tensor_checks import WeightsError

__all__ = ["Start", "load_start", "read_start"]


@dataclass(frozen=True, slots=True)
class Start:
    """The weights that a training starts from."""

    tensors: Mapping[str, Tensor]
    """By the network's names; those that are missing begin as they do without weights."""
    record: StartRecord

    def fill(self, model: nn.Module) -> None:
        """Copy the weights into a network that has its own first weights already.

        Raises:
            RunError: it has other tensors: model.py was edited.
        """
        own = model.state_dict()
        different = [
            name
            for name, value in self.tensors.items()
            if name not in own or own[name].shape != value.shape
        ]
        if different:
            raise RunError(
                "script-modified",
                f"weights are loaded that model.py does not have, or not so: {list_some(different)}",
                "build again, or take these parts out of weights.parts",
            )
        with torch.no_grad():
            for name, value in self.tensors.items():
                # A state dict shares its memory with the model.
                own[name].copy_(value)


def load_start(
    run: RunFolder,
    plan: TrainingPlan,
    graph: ModuleGraph,
    project: Path,
    processes: Processes = ALONE,
) -> Start | None:
    """Return the weights that a run starts from, and record them; None where it resumes.

    A run that resumes has its weights in its last state; the file need not be there any more.

    Raises:
        RunError: as of `read_start`.
    """
    if find_last(run.checkpoints) is not None:
        return None
    start = processes.in_turn(lambda: read_start(graph, plan, project))
    if processes.is_first:
        run.note_start(start.record)
    for line in start.record.lines():
        processes.say(line)
    return start


def read_start(graph: ModuleGraph, plan: TrainingPlan, project: Path) -> Start:
    """Return the weights that a plan starts from.

    Args:
        graph: as written, not optimised.
        plan: says which file, and what of it.
        project: what the file's path is relative to.

    Raises:
        RunError: the file is not there, another one than the plan's, cannot be read, does not fit where
            everything has to, or has nothing that fits.
    """
    weights = plan.weights
    assert weights is not None, plan.name
    file = project / weights.file
    foreign = read_foreign(file, weights.state_dict)
    if weights.sha256 not in (None, foreign.sha256):
        raise RunError(
            "weights-changed",
            f"is another file than this was built with: its SHA-256 is {foreign.sha256[:16]}, and "
            f"{weights.sha256[:16] if weights.sha256 else 'none'} is recorded",
            "bring back the file as it was, or build again: that is another training",
            subject=file,
        )
    reading = Reading(graph, weights, file)
    found = reading.of_cnn(foreign.tensors, plan.seed) if weights.stem == "project" else None
    found = reading.of_network(foreign.tensors) if found is None else found
    if found.faults and weights.on_mismatch == "error":
        raise WeightsError(f"{graph.name} ({file})", found.faults, reading.remedy(found))
    if not found.state:
        raise RunError(
            "weights-do-not-fit",
            f"has nothing of the network's {', '.join(weights.parts) or 'weights'}",
            "name weights of this network, or other weights.parts",
            subject=file,
        )
    return Start(found.state, reading.record(found, foreign.sha256, foreign.notes))
