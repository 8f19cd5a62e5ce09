"""Warn of an evaluation that says less than it seems to."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import LintContext, lint_rule
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import CropsEvaluation, Split
from wavetwin.ir.plan import DataPlan

IMAGES_A_BIN = 10
"""Fewer on average, and chance is most of the expected calibration error."""


@lint_rule(
    "many-calibration-bins",
    meaning="Calibration bins have too few images to tell their error from chance.",
    cause="The error adds up distances between an accuracy and a mean probability, bin by bin; in a "
    "bin of few images chance alone sets them apart.",
    cure="Fewer bins, or more images.",
    number="The rule speaks below 10 images a bin. Of 360 images drawn so that the probabilities are right, "
    "15 bins give an error of 0.05 on average, 36 bins 0.07, 360 bins 0.21.",
)
def many_calibration_bins(context: LintContext) -> Iterator[Diagnostic]:
    """The bins of the calibration error have too few images each to tell it from chance."""
    for position, entry in enumerate(context.plan.evaluation):
        if not isinstance(entry, CropsEvaluation):
            continue
        images = _num_images(context.plan.data, entry.split)
        bins, most = entry.calibration_bins, (images or 0) // IMAGES_A_BIN
        if images is None or bins <= most:
            continue
        headline = (
            f"{bins} calibration bins for {images:,} images leave most bins empty"
            if bins > images
            else f"{bins} calibration bins have {images / bins:.1f} of {images:,} images each"
        )
        yield context.warn(
            "many-calibration-bins",
            f"{headline}: their expected calibration error is mostly chance",
            [f"evaluation.{position}.calibration_bins", f"evaluation.{position}.split"],
            help=f"set calibration_bins to {most} or fewer" if most > 1 else "evaluate more images",
        )


@lint_rule(
    "metrics-alike",
    meaning="Two metrics of an entry are the same code with the same arguments.",
    cause="Two metrics of one entry name the same code with the same arguments.",
    cure="Give one of them the arguments that were meant, or remove it.",
    number="The two differ by 0 in every run: they are one call on the same logits and labels.",
)
def metrics_alike(context: LintContext) -> Iterator[Diagnostic]:
    """Two metrics of an entry have the same number, whatever the network."""
    for position, entry in enumerate(context.plan.evaluation):
        if not isinstance(entry, CropsEvaluation):
            continue
        first: dict[str, int] = {}
        for number, metric in enumerate(entry.metrics):
            other = first.setdefault(metric.definition, number)
            if other != number:
                listed = f"evaluation.{position}.metrics"
                yield context.warn(
                    "metrics-alike",
                    f"{metric.name} is {entry.metrics[other].name}: both are {metric.module.describe()}",
                    [f"{listed}.{other}.module", f"{listed}.{number}.module"],
                    help="give one of them other arguments, or remove it",
                )


def _num_images(data: DataPlan, split: Split) -> int | None:
    """Return how many images a split has; None where only the disk knows."""
    held_out = data.validation * (data.num_classes if data.validation_per_class else 1)
    return {
        "train": data.training_images,
        "validation": held_out or None,
        "test": DATASETS[data.dataset].test_images,
    }[split]
