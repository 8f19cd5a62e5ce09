"""Time training steps of networks on images of noise: `python -m wavetwin.sweep.timed_step DEVICE`.

Standard input has a JSON list of `{"graph": ..., "plan": ...}`; standard output gets a list of
`{"seconds": of a step, "bytes": of a saved state, "weights": bytes of the weights}`, or null where a
network has layers of its own, which are not run here.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from torch.nn import functional

from wavetwin.diagnostics.terminal import say
from wavetwin.files.json_text import parse_json
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import build_module, initialise
from wavetwin.runtime.process.scripts import prepare_device
from wavetwin.runtime.training.schedule import build_optimizer
from wavetwin.runtime.training.training_batches import memory_format, place

TIMED_STEPS = 3


def time_step(
    graph: ModuleGraph, plan: TrainingPlan, device: torch.device
) -> dict[str, float] | None:
    """Return the time of a training step and the sizes of what is saved; None of own layers.

    The shortest of a few steps counts: what else the machine does makes them only longer.
    """
    if any(isinstance(node.operation, UserModule) for node in graph):
        return None
    model = build_module(graph, plan=plan)
    initialise(model, graph, plan.seed)
    place(model, plan, device)
    optimizer = build_optimizer(plan.optimizer, model, graph, plan.groups)
    part = -(-plan.batch_size // plan.accumulate)
    images = torch.randn(part, *graph.input.output_shape, device=device)
    images = images.contiguous(memory_format=memory_format(plan))
    labels = torch.zeros(part, dtype=torch.long, device=device)
    autocast = plan.number_format.autocast
    seconds: list[float] = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        optimizer.zero_grad()
        for _ in range(plan.accumulate):
            kind = getattr(torch, autocast) if autocast else None
            with torch.autocast(device.type, dtype=kind, enabled=kind is not None):
                loss = functional.cross_entropy(model(images), labels)
            loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    weights = sum(each.nbytes for each in model.state_dict().values())
    state = sum(
        value.nbytes
        for values in optimizer.state.values()
        for value in values.values()
        if isinstance(value, torch.Tensor)
    )
    return {"seconds": min(seconds[1:]), "weights": weights, "bytes": weights + state}


def main(device: str) -> int:
    """Time all that standard input has."""
    wanted: list[dict[str, Any]] = parse_json(sys.stdin.read())
    timed: list[dict[str, float] | None] = []
    for each in wanted:
        plan = TrainingPlan.from_json(each["plan"])
        graph = ModuleGraph.from_json(each["graph"])
        timed.append(time_step(graph, plan, prepare_device(plan, device)))
    say(json.dumps(timed))
    return 0


if __name__ == "__main__":
    from wavetwin.runtime.process.scripts import run_script

    run_script(lambda: main(sys.argv[1]))
