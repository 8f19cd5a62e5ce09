"""Define the fields of `evaluation`: how the model is judged."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import pydantic

from wavetwin.compiler.schema.model import with_defaults
from wavetwin.ir.evaluations import OneCrop

if TYPE_CHECKING:
    from wavetwin.ir.evaluations import Evaluation as EvaluationSpec
else:
    from wavetwin.compiler.schema.declared import DeferredModel, model_of, model_of_kinds
    from wavetwin.compiler.schema.model import LATER, SpecModel
    from wavetwin.compiler.schema.own_code import OwnCodeSpec
    from wavetwin.ir.evaluations import EVALUATIONS, Evaluation
    from wavetwin.ir.own_metric import OwnMetric

    @cache
    def _own_metric() -> type[SpecModel]:
        """Return the model of a metric; made for the first spec that has one."""
        return model_of("OwnMetricSpec", OwnMetric, {"module": (OwnCodeSpec, ...)})

    metrics = (
        Annotated[tuple[Annotated[Any, DeferredModel(_own_metric)], ...] | None, LATER],
        pydantic.Field(default=None, max_length=64, strict=False),
    )
    EvaluationSpec = model_of_kinds("EvaluationSpec", EVALUATIONS, Evaluation, {"metrics": metrics})

__all__ = ["EvaluationSpec", "default_entries"]


def default_entries() -> tuple[EvaluationSpec, ...]:
    """Return what is evaluated where a spec does not say."""
    return (with_defaults(EvaluationSpec, mode=OneCrop.mode),)
