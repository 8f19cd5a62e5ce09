"""Define the fields of `evaluation`: how the model is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wavetwin.ir.evaluations import OneCrop

if TYPE_CHECKING:
    from wavetwin.ir.evaluations import Evaluation as EvaluationSpec
else:
    from wavetwin.compiler.schema.declared import model_of_kinds
    from wavetwin.ir.evaluations import EVALUATIONS, Evaluation

    EvaluationSpec = model_of_kinds("EvaluationSpec", EVALUATIONS, Evaluation)

__all__ = ["EvaluationSpec", "default_entries"]


def default_entries() -> tuple[EvaluationSpec, ...]:
    """Return what is evaluated where a spec does not say."""
    return (cast("Any", EvaluationSpec)(mode=OneCrop.mode),)
