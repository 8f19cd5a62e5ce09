"""Set published and measured figures of two experiments side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from wavetwin.compiler.compiled import Compiled
from wavetwin.published import PublishedModel, find_published_by_model

_DIRECTIONS = ("horizontal", "vertical", "diagonal")


@dataclass(frozen=True, slots=True)
class Measured:
    """One score of a source; a share or a divergence."""

    name: str
    value: float
    low: float | None = None
    """Ends of the 95 % interval, where it has one; so is `high`."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of several sources, in their order; None where one has none."""

    name: str
    origin: str
    """`published` or `measured`."""
    values: tuple[Measured | None, ...]

    @property
    def difference(self) -> float | None:
        """The last source's score minus the first's."""
        first, last = self.values[0], self.values[-1]
        return None if first is None or last is None else last.value - first.value


def published_scores(compiled: Compiled) -> dict[str, Measured]:
    """Return the spec's published figures, and shift scores of a published model of these layers."""
    found: dict[str, Measured] = {}
    block = cast("Mapping[str, Any]", compiled.resolved.get("published", {}))
    for name, value in block.items():
        if isinstance(value, float):
            found[name] = Measured(name, value)
    model = find_published_by_model(compiled.model_digest) if block else None
    if model is not None:
        found |= {each.name: each for each in _shift_scores(model)}
    return found


def score_rows(
    published: Sequence[Mapping[str, Measured]], measured: Sequence[Mapping[str, Measured]]
) -> tuple[ScoreRow, ...]:
    """Return a row for each score that any source has."""
    return (*_rows(published, "published"), *_rows(measured, "measured"))


def _rows(columns: Sequence[Mapping[str, Measured]], origin: str) -> Iterator[ScoreRow]:
    for name in dict.fromkeys(name for column in columns for name in column):
        yield ScoreRow(name, origin, tuple(column.get(name) for column in columns))


def _shift_scores(model: PublishedModel) -> Iterator[Measured]:
    """Yield the published shift scores as one number each, of test images that are not normalised."""
    rates = [model.flip_rates(direction) for direction in _DIRECTIONS]
    if all(rates):
        values = [rate for steps in rates for rate in steps.values()]
        yield Measured("mean_flip_rate", sum(values) / len(values))
    divergences = model.divergences("horizontal")
    if len(divergences) > 2:
        yield Measured("kl_divergence.horizontal.1px", divergences[2])
