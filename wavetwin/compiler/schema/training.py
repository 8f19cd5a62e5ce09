"""Define the fields of `training`: how the model is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pydantic

if TYPE_CHECKING:
    from wavetwin.ir.optimizers import Optimizer as OptimizerSpec
    from wavetwin.ir.parameter_groups import ParameterGroup as ParameterGroupSpec
    from wavetwin.ir.schedules import Schedule as ScheduleSpec
    from wavetwin.ir.training import Training as TrainingSpec
else:
    from wavetwin.compiler.schema.declared import model_of, model_of_kinds
    from wavetwin.compiler.schema.model import LATER
    from wavetwin.compiler.schema.own_code import OPTIONAL
    from wavetwin.ir.optimizers import OPTIMIZERS, Optimizer, Sgd
    from wavetwin.ir.parameter_groups import ParameterGroup
    from wavetwin.ir.schedules import SCHEDULES, Schedule, Step
    from wavetwin.ir.training import Training

    OptimizerSpec = model_of_kinds("OptimizerSpec", OPTIMIZERS, Optimizer, default=Sgd)
    ScheduleSpec = model_of_kinds("ScheduleSpec", SCHEDULES, Schedule, default=Step)
    ParameterGroupSpec = model_of("ParameterGroupSpec", ParameterGroup)
    groups = (
        Annotated[tuple[ParameterGroupSpec, ...], LATER],
        pydantic.Field(default=(), max_length=64, strict=False),
    )
    TrainingSpec = model_of(
        "TrainingSpec",
        Training,
        {"optimizer": OptimizerSpec, "schedule": ScheduleSpec, "groups": groups, "loss": OPTIONAL},
    )

__all__ = ["OptimizerSpec", "ParameterGroupSpec", "ScheduleSpec", "TrainingSpec"]
