"""Define the language of sweeps, version 1, as closed models: every field, its range and its default.

What a field of `space` may be is declared in `ir.sweeps.ranges`; rules that join several fields are in
`checks`. The description of each field is its docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from wavetwin.compiler.parse.compose import SWEEP_MARK
from wavetwin.compiler.schema import NAME_PATTERN, SpecModel
from wavetwin.compiler.schema.declared import choice_of, model_of
from wavetwin.compiler.validate.fields import Language
from wavetwin.ir.sweeps.objectives import OBJECTIVES
from wavetwin.ir.sweeps.ranges import SweptField
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.ir.sweeps.searches import SEARCHES

__all__ = ["SWEEPS", "SWEEP_VERSION", "BudgetSpec", "RangeSpec", "SweepSpec"]

SWEEP_VERSION = 1

if TYPE_CHECKING:
    RangeSpec = SweptField
    ObjectiveName = str
    SearchName = str
    SchedulerName = str
else:
    RangeSpec = model_of("RangeSpec", SweptField)
    ObjectiveName = choice_of(OBJECTIVES)
    SearchName = choice_of(SEARCHES)
    SchedulerName = choice_of(SCHEDULERS)


class BudgetSpec(SpecModel):
    """How much is trained."""

    points: int | None = Field(default=None, ge=1, le=10000)
    """Points that a random search or tpe draws."""
    max_epochs: int | None = Field(default=None, ge=1, le=100000)
    """Epochs of a point that is trained to the end: the `training.epochs` of every member; absent: those
    of the base."""
    grace_epochs: int = Field(default=1, ge=1, le=100000)
    """Epochs that every point gets before a scheduler looks at it."""
    reduction: int = Field(default=4, ge=2, le=100)
    """Of so many points one goes on at each milestone of asha; milestones are `grace_epochs` times its
    powers."""


class SweepSpec(SpecModel):
    """A sweep: a spec, what is varied of it, how points are found, compared and stopped."""

    wavetwin_sweep: Literal[1]
    """Version of the language of sweeps."""
    base: str = Field(min_length=1)
    """The spec that is varied: a path relative to this file, inside the project."""
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Label of the sweep; default: the file's name, without `.sweep.yaml` or `.yaml`."""
    summary: str | None = Field(default=None, max_length=500)
    """One line about the sweep."""
    space: dict[str, RangeSpec] = Field(default_factory=dict[str, Any])
    """What is varied: fields of specs by their paths, such as `training.optimizer.lr`, and their values.
    Absent: the base alone, with several seeds."""
    search: SearchName = "grid"
    """How points are found in the space."""
    search_seed: int = Field(default=0, ge=0, le=9223372036854775807)
    """What a random search and tpe draw by."""
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, le=9223372036854775807)], ...], Field(strict=False)
    ] = Field(default=(), max_length=1000, strict=False)
    """Values of `training.seed`: each point is trained with every one, and its score is the mean; absent:
    that of the base."""
    objective: ObjectiveName
    """Score of the validation images that points are compared by; lower is better. Test images choose
    nothing."""
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    """How much is trained."""
    scheduler: SchedulerName = "none"
    """Who pauses points before their last epoch."""
    parallel: int = Field(default=4, ge=1, le=1000)
    """Points that are thought to be trained at once, on whatever machine: decisions of a scheduler and of
    tpe know the results that so many lanes would have by then."""


SWEEPS = Language(SweepSpec, "sweep", SWEEP_MARK, SWEEP_VERSION, ((SWEEP_MARK,),))
"""The language of sweeps."""
