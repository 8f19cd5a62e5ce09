"""Measure errors on the images as they are: one crop, and ten crops averaged."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from wavetwin.ir.evaluations import CropsEvaluation
from wavetwin.runtime.data.transforms import fit, five_crops
from wavetwin.runtime.evaluation.calibration import calibrate
from wavetwin.runtime.evaluation.class_counts import class_labels
from wavetwin.runtime.evaluation.metrics import are_wrong
from wavetwin.runtime.evaluation.own_metrics import check_own_metrics, own_metrics
from wavetwin.runtime.evaluation.per_image import (
    LOGITS,
    PROBABILITIES,
    Evaluated,
    Evaluation,
    Table,
)

__all__ = ["evaluate_one_crop", "evaluate_ten_crops"]


def evaluate_one_crop(run: Evaluation) -> Evaluated:
    """Return loss and errors of the middle of each image."""

    def measure(images: Tensor, labels: Tensor) -> Table:
        logits = run.predict(images)
        loss = functional.cross_entropy(logits, labels, reduction="none")
        table = predictions(run, logits.softmax(-1), labels, logits)
        return table | {"loss": loss} | for_metrics(run, logits)

    check_own_metrics(run)
    table = run.collect(lambda x: fit(x, run.size, run.entry.resize), measure)
    return _finish(run, {"loss": table["loss"]} | errors(table), table)


def evaluate_ten_crops(run: Evaluation) -> Evaluated:
    """Evaluate five crops of images an eighth larger (256 for 224, 36 for 32) and their mirror images.

    The class probabilities are averaged; their logarithms are what metrics of the project's own get.
    """
    height, width = run.size
    larger = height * 8 // 7, width * 8 // 7

    def crops(images: Tensor) -> Tensor:
        five = five_crops(images, larger, run.size, run.entry.resize)
        return torch.cat((five, five.flip(-1)), dim=-4)

    def measure(images: Tensor, labels: Tensor) -> Table:
        # Crop by crop: ten times the batch may not fit where the batch does.
        each = [run.predict(crop).softmax(-1) for crop in images.unbind(1)]
        probabilities = torch.stack(each).mean(0)
        logits = probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
        table = predictions(run, probabilities, labels, probabilities)
        return table | for_metrics(run, logits)

    check_own_metrics(run)
    table = run.collect(crops, measure)
    return _finish(run, errors(table), table)


def predictions(run: Evaluation, probabilities: Tensor, labels: Tensor, scores: Tensor) -> Table:
    """Return columns of top predictions, how probable they are, and whether they are wrong.

    Args:
        run: says whether the probabilities of all classes are kept.
        probabilities: (images, classes).
        labels: (images,).
        scores: logits, or the probabilities, (images, classes): among equal probabilities of
            different logits the larger logit is the prediction.
    """
    assert isinstance(run.entry, CropsEvaluation), run.entry
    classes = scores.argmax(1)
    table = {
        "classes": classes.to(torch.int32),
        "top1_wrong": are_wrong(scores, labels, 1).to(torch.uint8),
        "top5_wrong": are_wrong(scores, labels, 5).to(torch.uint8),
        "confidence": probabilities.gather(1, classes[:, None])[:, 0],
    }
    return table | ({PROBABILITIES: probabilities} if run.entry.predictions else {})


def for_metrics(run: Evaluation, logits: Tensor) -> Table:
    """Return the column of logits, where metrics of the project's own ask for it."""
    assert isinstance(run.entry, CropsEvaluation), run.entry
    return {LOGITS: logits} if run.entry.metrics else {}


def errors(table: Table) -> dict[str, Tensor]:
    """Return the columns whose means are the top-1 and top-5 errors."""
    return {"top1_error": table["top1_wrong"], "top5_error": table["top5_wrong"]}


def _finish(run: Evaluation, columns: dict[str, Tensor], table: Table) -> Evaluated:
    """Return the means of columns, and beside them what is no mean over images."""
    logits = table.pop(LOGITS, None)
    found = run.finish(columns, table, no_rates=("loss",))
    if not run.is_full:
        return found
    entry = run.entry
    assert isinstance(entry, CropsEvaluation), entry
    calibration = calibrate(table["confidence"], table["top1_wrong"] == 0, entry.calibration_bins)
    scores = found.scores | {
        "expected_calibration_error": calibration.error,
        "calibration_bins": calibration.bins,
    }
    if logits is not None:
        scores["metrics"] = own_metrics(run, logits, table["labels"])
    data = run.data.plan.data
    images = run.data.split(run.split)
    return replace(
        found,
        scores=scores,
        class_names=class_labels(images.source.class_names, data.dataset, data.num_classes),
        files=images.file_names(table["positions"]) if entry.predictions else None,
    )
