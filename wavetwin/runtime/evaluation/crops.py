"""Measure errors on the images as they are: one crop, and ten crops averaged."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wavetwin.runtime.data.transforms import fit, five_crops
from wavetwin.runtime.evaluation.metrics import are_wrong
from wavetwin.runtime.evaluation.per_image import Evaluated, Evaluation, Table

__all__ = ["evaluate_one_crop", "evaluate_ten_crops"]


def evaluate_one_crop(run: Evaluation) -> Evaluated:
    """Return loss and errors of the middle of each image."""

    def measure(images: Tensor, labels: Tensor) -> Table:
        logits = run.predict(images)
        loss = functional.cross_entropy(logits, labels, reduction="none")
        return predictions(logits, labels) | {"loss": loss}

    table = run.collect(lambda x: fit(x, run.size, run.entry.resize), measure)
    return run.finish({"loss": table["loss"]} | errors(table), table, no_rates=("loss",))


def evaluate_ten_crops(run: Evaluation) -> Evaluated:
    """Evaluate five crops of images an eighth larger (256 for 224, 36 for 32) and their mirror images.

    The class probabilities are averaged.
    """
    height, width = run.size
    larger = height * 8 // 7, width * 8 // 7

    def crops(images: Tensor) -> Tensor:
        five = five_crops(images, larger, run.size, run.entry.resize)
        return torch.cat((five, five.flip(-1)), dim=-4)

    def measure(images: Tensor, labels: Tensor) -> Table:
        # Crop by crop: ten times the batch may not fit where the batch does.
        each = [run.predict(crop).softmax(-1) for crop in images.unbind(1)]
        return predictions(torch.stack(each).mean(0), labels)

    table = run.collect(crops, measure)
    return run.finish(errors(table), table)


def predictions(scores: Tensor, labels: Tensor) -> Table:
    """Return top predictions (int32) and whether the first and the first five are wrong (uint8)."""
    return {
        "classes": scores.argmax(1).to(torch.int32),
        "top1_wrong": are_wrong(scores, labels, 1).to(torch.uint8),
        "top5_wrong": are_wrong(scores, labels, 5).to(torch.uint8),
    }


def errors(table: Table) -> dict[str, Tensor]:
    """Return the columns whose means are the top-1 and top-5 errors."""
    return {"top1_error": table["top1_wrong"], "top5_error": table["top5_wrong"]}
