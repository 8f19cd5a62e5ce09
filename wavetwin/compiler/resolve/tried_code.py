"""Try the code of a project that is no layer: the loss, transforms of images, metrics of the evaluation."""

from __future__ import annotations

from typing import Any, TypedDict

from wavetwin.compiler.resolve.own_code_trials import Trials
from wavetwin.ir.evaluations import CropsEvaluation
from wavetwin.ir.own_code import OwnCode, OwnCodeError
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.sides import height_and_width

__all__ = ["try_code"]


class _Nothing(TypedDict):
    """What a trial finds that only asks whether something works."""


def try_code(plan: TrainingPlan, trials: Trials) -> None:
    """Try what a plan names.

    Raises:
        OwnCodeError: it is at fault; its field says where the spec names it.
    """
    if plan.loss is not None:
        about = {"classes": plan.data.num_classes, "takes_shares": plan.mixes_images}
        _ask(trials, "loss", plan.loss, "training.loss", about)
    listed = plan.data.augmentation
    shape = [plan.data.channels, *height_and_width(plan.data.image_size)]
    for position, each in enumerate(() if isinstance(listed, str) else listed):
        if isinstance(each, OwnCode):
            field = f"data.augmentation.{position}.{each.transform}"
            _ask(trials, "transform", each, field, {"shape": shape})
    for position, entry in enumerate(plan.evaluation):
        if isinstance(entry, CropsEvaluation):
            for number, metric in enumerate(entry.metrics):
                field = f"evaluation.{position}.metrics.{number}.module"
                _ask(trials, "metric", metric.module, field, {"classes": plan.data.num_classes})


def _ask(trials: Trials, trial: str, code: OwnCode, field: str, about: dict[str, Any]) -> None:
    try:
        trials.ask(trial, code, _Nothing, **about)
    except OwnCodeError as error:
        error.field = field
        raise
