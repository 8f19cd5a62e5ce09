"""Run the evaluation suite: one entry at a time, on one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import nn

from wavetwin.ir.evaluations import Evaluation as Entry
from wavetwin.ir.evaluations import OneCrop, Split
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.evaluation.per_image import Baseline, Evaluated, Evaluation, describe
from wavetwin.runtime.evaluation.scores_file import ScoresFile
from wavetwin.runtime.process.processes import ALONE, Processes

__all__ = [
    "Baseline",
    "Evaluated",
    "ScoresFile",
    "describe",
    "evaluate_entry",
    "score_one_crop",
    "summarise",
]


def evaluate_entry(
    entry: Entry,
    model: nn.Module,
    data: ExperimentData,
    device: torch.device,
    processes: Processes = ALONE,
    *,
    data_root: Path | None = None,
    is_shown: bool = True,
    baseline: Baseline | None = None,
) -> Evaluated:
    """Return what one entry gives; called by every process, and the same on all of them.

    Batches are as with one process, whatever their number. The model is left in evaluation mode.

    Args:
        entry: of the plan's evaluation suite.
        model: maps images to logits, on the device.
        data: the experiment's.
        device: where the model is.
        processes: those that evaluate together.
        data_root: as the command line gives it, for entries with images of their own.
        is_shown: whether the first process reports progress.
        baseline: what corruptions and perturbations are set against; default: AlexNet.

    Raises:
        RunError: images are missing or damaged, or the network's output is not a finite number;
            on all processes alike.
    """
    run = Evaluation(entry, model, data, device, processes, data_root, is_shown, baseline=baseline)
    return _evaluate(run)


def score_one_crop(
    model: nn.Module,
    data: ExperimentData,
    split: Split,
    device: torch.device,
    processes: Processes = ALONE,
    *,
    allow_non_finite: bool = False,
) -> dict[str, float]:
    """Return `loss`, `top1_error` and `top5_error` on a split, as after each epoch of training.

    With `allow_non_finite` the loss may be infinite or not a number, and the errors then mean
    nothing: the caller sees by the loss.

    Raises:
        RunError: the split has no images, one is damaged, or the network's output is not a finite
            number; on all processes alike.
    """
    entry = OneCrop(split=split)
    run = Evaluation(
        entry,
        model,
        data,
        device,
        processes,
        None,
        False,
        is_full=False,
        allow_non_finite=allow_non_finite,
    )
    return _evaluate(run).scores


def _evaluate(run: Evaluation) -> Evaluated:
    evaluate: Callable[[Evaluation], Evaluated] = resolve_name(run.entry.function)
    run.model.eval()
    with torch.inference_mode():
        found = evaluate(run)
    # Machines of another kind may round the last bit of a mean in another way.
    scores, intervals = run.processes.from_first((found.scores, found.intervals))
    return replace(found, scores=scores, intervals=intervals, limit_batches=run.data.limit_batches)


def summarise(evaluated: Evaluated) -> str:
    """Return the scores of one entry with their intervals on one line.

    Of scores by type and severity the mean of each type is shown; of a grid, its last shift.
    """
    parts = list(_shown_scores(evaluated.scores, evaluated.intervals))
    parts.append(f"{evaluated.images} images")
    if evaluated.limit_batches is not None:
        parts.append(f"{evaluated.limit_batches} batches only")
    if evaluated.skipped:
        parts.append(f"{evaluated.skipped} damaged images left out")
    return ", ".join(parts)


def _shown_scores(scores: dict[str, Any], intervals: dict[str, Any]) -> Iterator[str]:
    for name, value in scores.items():
        label, ends = name.replace("_", " "), intervals.get(name)
        if isinstance(value, float):
            yield f"{label} {_number(value, ends)}"
        elif isinstance(value, int):
            yield f"{label} {value}"
        elif isinstance(value, str):
            yield f"{label}: {value}"
        elif isinstance(value, dict):
            yield f"{label} " + "; ".join(
                f"{key}: {_of_type(item, None if ends is None else ends[key])}"
                for key, item in value.items()
            )
        elif value and isinstance(value[0], float):
            yield f"{label} " + " ".join(f"{item:z.4f}" for item in value)
        elif value and isinstance(value[0], list):
            last = None if ends is None else ends[-1][-1]
            yield f"{label} at the largest shift {_number(value[-1][-1], last)}"
        elif value:
            yield f"{label}: {' '.join(map(str, value))}"


def _of_type(item: Any, ends: Any) -> str:
    if isinstance(item, dict):
        return f"{sum(item.values()) / len(item):z.4f}"
    return _number(item, ends)


def _number(value: float, ends: Any) -> str:
    return f"{value:z.4f}" if ends is None else f"{value:z.4f} [{ends[0]:z.4f}, {ends[1]:z.4f}]"
