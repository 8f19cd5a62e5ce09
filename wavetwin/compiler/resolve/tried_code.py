"""Try the code of a project that is no layer: the loss of a training."""

from __future__ import annotations

from typing import Any, TypedDict

from wavetwin.compiler.resolve.own_code_trials import Trials
from wavetwin.ir.own_code import OwnCode, OwnCodeError
from wavetwin.ir.plan import TrainingPlan

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


def _ask(trials: Trials, trial: str, code: OwnCode, field: str, about: dict[str, Any]) -> None:
    try:
        trials.ask(trial, code, _Nothing, **about)
    except OwnCodeError as error:
        error.field = field
        raise
