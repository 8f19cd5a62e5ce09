"""A whole evaluation suite on one process or several, of which each writes what it found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from tests.support.photographs import piece
from tests.support.plans import ONE_CROP, make_plan, shifts
from wavetwin.ir.evaluations import Corruptions, Perturbations, TenCrops
from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.own_metric import OwnMetric
from wavetwin.runtime.data import load_data
from wavetwin.runtime.evaluation.entries import Evaluated, evaluate_entry
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.own_code import install_sources
from wavetwin.runtime.process.processes import ALONE, Processes, join_processes

CODE = b'''
import torch


def weighted(logits, labels):
    """As torchmetrics would, it asks whether others have images, too."""
    assert not torch.distributed.is_initialized()
    return (torch.arange(len(labels)) * (logits.argmax(1) == labels)).double().mean()
'''
FILE = "own/metrics.py"
WEIGHTED = OwnMetric(
    name="weighted", module=OwnCode(file=FILE, name="weighted", files={FILE: "0" * 64})
)
CORRUPTIONS = Corruptions(root="c")
ENTRIES = (
    ONE_CROP,
    TenCrops(metrics=(WEIGHTED,)),
    shifts("diagonal", "flip_rate", 3, 2),
    shifts("both", "kl_divergence", 2),
    CORRUPTIONS,
    Perturbations(root="p"),
)


class Diverging(nn.Module):
    """Infinite in the second forward pass of the second process alone."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        rank = int(os.environ.get("RANK", "0"))
        is_bad = rank == 1 and self.passes == 2
        return images.flatten(1)[:, :10] + (float("inf") if is_bad else 0.0)


def write_images(root: Path) -> None:
    """Thirteen images of ten classes under one corruption, and as many videos of three frames."""
    for number in range(13):
        name = f"n{number % 10:08d}"
        folder = root / "c/fog/1" / name
        folder.mkdir(parents=True, exist_ok=True)
        piece(number + 20).save(folder / f"{number}.png")
        video = root / "p/tilt" / name / str(number)
        video.mkdir(parents=True)
        for frame in range(3):
            piece(number + 20, 60).crop((frame, 0, frame + 40, 40)).save(video / f"{frame}.png")


def evaluate_all(root: Path, processes: Processes = ALONE) -> list[Evaluated]:
    """Evaluate with a small network; 360 digits in batches of 7 are 52, the last one of 3."""
    torch.set_num_threads(1)
    data = load_data(make_plan(batch_size=7, evaluation=ENTRIES), data_root=root)
    install_sources({FILE: CODE})
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(150, 10))
    device = torch.device("cpu")
    return [
        evaluate_entry(entry, model, data, device, processes, data_root=root, is_shown=False)
        for entry in ENTRIES
    ]


def main(root: Path, out: Path) -> None:
    """Write what this process found, then how it hears of what went wrong in another one."""
    with join_processes() as processes:
        found = evaluate_all(root, processes)
        report: dict[str, Any] = {
            "scores": [each.scores for each in found],
            "intervals": [each.intervals for each in found],
            "images": [each.images for each in found],
        }
        for number, each in enumerate(found):
            save_file(each.per_image, out / f"{processes.rank}-{number}.safetensors")
        processes.barrier()
        if processes.is_first:
            # The eighth of 13 images is in the second batch, the second process's.
            (root / "c/fog/1/n00000005/5.png").write_bytes(b"damaged")
        processes.barrier()
        data = load_data(make_plan(batch_size=7), data_root=root)
        model, device = nn.Sequential(nn.Flatten(), nn.Linear(144, 10)), torch.device("cpu")
        try:
            evaluate_entry(CORRUPTIONS, model, data, device, processes, data_root=root)
        except RunError as error:
            report["error"] = error.headline
        try:
            evaluate_entry(ENTRIES[0], Diverging(), data, device, processes)
        except RunError as error:
            report["diverged"] = error.headline
        (out / f"{processes.rank}.json").write_text(json.dumps(report), encoding="utf-8")
