"""Collect all that two experiments do not share, in levels from the declaration to the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.diff.declaration import (
    ABSENT,
    DeclarationChanges,
    FieldChange,
    Path,
    compare_declarations,
    compare_labels,
)
from wavetwin.explain.diff.effects import Effect, Pair
from wavetwin.explain.diff.layers import ModelChanges, compare_models
from wavetwin.explain.diff.origins import origin_of
from wavetwin.explain.diff.own_code import FileChange, compare_own_code
from wavetwin.explain.diff.scores import Measured, ScoreRow, published_scores, score_rows
from wavetwin.explain.diff.sentences import explain
from wavetwin.explain.diff.training import PlanChanges, compare_plans


@dataclass(frozen=True)
class Experiment:
    """One side of a difference."""

    label: str
    """What the answer calls it."""
    compiled: Compiled
    measured: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    """Of its run, by name."""
    location_prefix: str = ""
    """Put before `path:line` of its fields: the commit that its files were read at."""


@dataclass(frozen=True, slots=True)
class SourcedChange:
    """A field that differs, and what set it on both sides."""

    change: FieldChange
    before_origin: str | None
    """`path:line`, or that it is a default; None where the field is absent."""
    after_origin: str | None


@dataclass(frozen=True)
class Difference:
    """What differs between two experiments; empty exactly where their digests are equal."""

    before: Experiment
    after: Experiment
    changes: DeclarationChanges
    fields: tuple[SourcedChange, ...]
    labels: tuple[FieldChange, ...]
    """Names, summaries, tags and published figures that differ: they do not count."""
    model: ModelChanges
    effects: tuple[Effect, ...]
    plan: PlanChanges
    scores: tuple[ScoreRow, ...]
    own_code: tuple[FileChange, ...] = ()
    """Files of own code that differ."""

    @property
    def is_empty(self) -> bool:
        """Whether both are the same experiment."""
        return not self.changes

    def __repr__(self) -> str:
        if self.is_empty:
            return f"Difference({self.before.label}, {self.after.label}: none)"
        training = "the same training" if self.plan.same_training else "another training"
        return (
            f"Difference({self.before.label}, {self.after.label}: {len(self.fields)} fields, "
            f"{len(self.model.differing)} layers, {training})"
        )

    def _repr_html_(self) -> str:
        # Templates for notebooks stand above, and are found by name.
        return resolve_name("wavetwin.notebook.cards.difference_card")(self)


def compare(before: Experiment, after: Experiment) -> Difference:
    """Compare two compiled experiments on every level."""
    ours, theirs = before.compiled, after.compiled
    changes = compare_declarations(ours.resolved, theirs.resolved)
    pair = Pair(ours, theirs, changes)
    return Difference(
        before,
        after,
        changes,
        tuple(_sourced(change, before, after) for change in changes.fields),
        compare_labels(ours.resolved, theirs.resolved),
        compare_models(ours.graph, theirs.graph, ours.optimised_graph, theirs.optimised_graph),
        explain(pair),
        compare_plans(pair),
        score_rows(
            [published_scores(ours), published_scores(theirs)], [before.measured, after.measured]
        ),
        compare_own_code(ours, theirs),
    )


def _sourced(change: FieldChange, before: Experiment, after: Experiment) -> SourcedChange:
    return SourcedChange(
        change,
        field_origin(before, change.before_path, change.before),
        field_origin(after, change.path, change.after),
    )


def field_origin(experiment: Experiment, path: Path, value: Any) -> str | None:
    """Return what set a field, as text; None of an absent one that nothing removed."""
    origin = origin_of(experiment.compiled.loaded, path, value)
    if value is ABSENT and not origin.is_removal:
        return None
    return origin.text(experiment.location_prefix)
