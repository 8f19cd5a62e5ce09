"""Evaluate a suite: its entries in order, for evaluate.py and for `wavetwin evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from wavetwin.ir.evaluations import Evaluation
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.evaluation.entries import Baseline, Evaluated, evaluate_entry, summarise
from wavetwin.runtime.evaluation.per_image import describe
from wavetwin.runtime.process.errors import PartsError, RunError
from wavetwin.runtime.process.processes import ALONE, Processes

__all__ = ["evaluate_suite"]


def evaluate_suite(
    entries: Sequence[Evaluation],
    model: nn.Module,
    data: ExperimentData,
    device: torch.device,
    add: Callable[[Evaluation, Evaluated], object],
    processes: Processes = ALONE,
    *,
    has: Callable[[Evaluation], bool] | None = None,
    data_root: Path | None = None,
    baselines: Sequence[Baseline | None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Evaluate every entry that has no scores yet, and hand on what each gives.

    An entry that fails does not keep the others from their scores.

    Args:
        entries: of the plan.
        model: maps images to logits, on the device.
        data: the experiment's.
        device: where the model is.
        add: takes an entry and its scores; called by the first process alone.
        processes: those that evaluate together.
        has: says whether an entry has scores already; default: every entry is evaluated.
        data_root: as the command line gives it, for entries with images of their own.
        baselines: what each entry is set against; default: what its mode is set against by itself.
        say: takes a line for each entry; default: the first process prints it.

    Raises:
        PartsError: entries failed, each by its name; on all processes alike.
    """
    announce = say or processes.say
    failures: list[tuple[str, RunError]] = []
    for entry, baseline in zip(entries, baselines or [None] * len(entries), strict=True):
        if has is not None and processes.run_first(partial(has, entry)):
            announce(f"{describe(entry)}: has scores already; --again repeats it")
            continue
        try:
            evaluated = evaluate_entry(
                entry, model, data, device, processes, data_root=data_root, baseline=baseline
            )
        except RunError as error:
            failures.append((describe(entry), error))
            continue
        if processes.is_first:
            add(entry, evaluated)
            announce(f"{describe(entry)}: {summarise(evaluated)}")
    if failures:
        raise PartsError(failures)
