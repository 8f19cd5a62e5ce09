"""Estimate what a sweep takes: epochs, time from a timed step, bytes on disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wavetwin.compiler.passes import passes_for, run_passes
from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep
from wavetwin.files.child_python import module_command
from wavetwin.files.json_text import parse_json
from wavetwin.ir.sweeps.schedulers import SCHEDULERS

__all__ = ["StepCost", "epochs_of", "expected_epochs", "time_steps"]


@dataclass(frozen=True, slots=True)
class StepCost:
    """What was measured of a network."""

    seconds: float
    """Of a training step."""
    state_bytes: int
    """Of a saved state: weights and what the optimiser keeps."""
    weight_bytes: int

    def run_seconds(self, point: CheckedPoint) -> float | None:
        """Return the time of a point's training steps with one seed; None where nobody knows their number."""
        steps = point.plan.iterations_per_epoch
        return None if steps is None else steps * point.plan.epochs * self.seconds

    def run_bytes(self, point: CheckedPoint) -> int:
        """Return what a run keeps: the last state, the best weights and the snapshots."""
        kept = 1 + point.plan.epochs // point.plan.checkpoint_every
        return self.state_bytes + kept * self.weight_bytes


def time_steps(
    points: Sequence[CheckedPoint], device: str = "auto"
) -> Mapping[str, StepCost | None]:
    """Time a training step of each point, by its training digest, those alike only once.

    Another process does it: this one imports no torch. None stands for networks with own layers, whose
    code is not run here.

    Raises:
        OSError: the process cannot be started, or ended otherwise than well.
    """
    kinds: dict[str, CheckedPoint] = {}
    kind_of: dict[str, str] = {}
    for point in points:
        plan = point.plan
        alike = [plan.model_digest, plan.batch_size, plan.accumulate, plan.precision]
        alike += [plan.threads, plan.memory_format, plan.kernels, plan.optimizer.kind_name()]
        kind = json.dumps(alike)
        kinds.setdefault(kind, point)
        kind_of[point.training_digest] = kind
    request = [
        {
            "graph": run_passes(each.graph, passes_for(each.plan.packet_kernels))[0].to_json(),
            "plan": each.plan.to_json(),
        }
        for each in kinds.values()
    ]
    done = subprocess.run(
        module_command("wavetwin.sweep.timed_step", device),
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ChildProcessError(0, f"the timed step ended with exit code {done.returncode}")
    costs = [
        None
        if each is None
        else StepCost(each["seconds"], int(each["bytes"]), int(each["weights"]))
        for each in parse_json(done.stdout)
    ]
    measured = dict(zip(kinds, costs, strict=True))
    return {digest: measured[kind] for digest, kind in kind_of.items()}


def epochs_of(checked: CheckedSweep) -> int:
    """Return the epochs of all members where none is paused.

    Points that results decide on count as those that were checked in their place do on average.
    """
    total = sum(each.plan.epochs for each in checked.points) * len(checked.seeds)
    return round(total * checked.num_points / len(checked.points))


def expected_epochs(checked: CheckedSweep) -> int | None:
    """Return the epochs where a scheduler lets exactly its share go on.

    None where it has none, and where points have not the same milestones. More may go on: the first points at a milestone have few to be compared with.
    """
    spec = checked.file.spec
    scheduler = SCHEDULERS[spec.scheduler]
    lengths = {each.plan.epochs for each in checked.points}
    if not scheduler.grows or len(lengths) > 1:
        return None
    (epochs,) = lengths
    stones = scheduler.milestones(epochs, spec.budget.grace_epochs, spec.budget.reduction)
    points, before, total = float(checked.num_points), 0, 0.0
    for stone in stones:
        total += points * (stone - before)
        points, before = max(1.0, points / spec.budget.reduction), stone
    return round(total * len(checked.seeds))
