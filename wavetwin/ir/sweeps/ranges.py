"""Define the ranges that a sweep gives to a field of its base: values that are listed, or an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Section, declare, declared_fields

__all__ = ["RANGES", "IntervalRange", "ListedRange", "SweptField", "given_range"]

Whole = int
"""A name of `int` that a field of this name does not hide."""

LARGEST_WHOLE = 2**53
"""Of an interval's ends: beyond it a number of 64 bits leaves whole numbers out."""

SIGNIFICANT_DIGITS = 4
"""Of a number that is drawn from an interval: a reader can type it again."""


@frozen(kw_only=True)
class SweptField(Section):
    """What values a field takes: one of the five."""

    choices: tuple[Any, ...] | None = declare(None, min_length=1, max_length=1000, strict=False)
    """Values of any form, in no order; null removes what the base has."""
    grid: tuple[float, ...] | None = declare(None, min_length=1, max_length=1000, strict=False)
    """Numbers in their order: a search takes neighbours for alike."""
    log_uniform: tuple[float, float] | None = declare(None, items={"gt": 0.0})
    """Least and largest of numbers that are drawn evenly by their logarithm."""
    uniform: tuple[float, float] | None = declare(None, strict=False)
    """Least and largest of numbers that are drawn evenly."""
    int: tuple[Whole, Whole] | None = declare(
        None, items={"ge": -LARGEST_WHOLE, "le": LARGEST_WHOLE}
    )
    """Least and largest of whole numbers, both included."""


@frozen
class ListedRange:
    """Values that can be counted."""

    values: Sequence[Any]
    is_ordered: bool

    def position(self, share: float) -> int:
        """Return which value a share from 0 to below 1 means: all have the same part."""
        return int(share * len(self.values))


@frozen
class IntervalRange:
    """Numbers between two, both included."""

    low: float
    high: float
    is_logarithmic: bool

    def value(self, share: float) -> float:
        """Return the number at a share from 0 (the least) to 1 (the largest), to four digits."""
        if self.is_logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            return self.rounded(math.exp(low + share * (high - low)))
        return self.rounded(self.low + share * (self.high - self.low))

    def rounded(self, number: float) -> float:
        """Return a number to four significant digits, within the interval."""
        return min(max(float(f"{number:.{SIGNIFICANT_DIGITS}g}"), self.low), self.high)


_MAKERS: Mapping[str, Callable[[Sequence[Any]], ListedRange | IntervalRange]] = {
    "choices": lambda values: ListedRange(values, is_ordered=False),
    "grid": lambda values: ListedRange(values, is_ordered=True),
    "log_uniform": lambda ends: IntervalRange(ends[0], ends[1], is_logarithmic=True),
    "uniform": lambda ends: IntervalRange(ends[0], ends[1], is_logarithmic=False),
    "int": lambda ends: ListedRange(range(ends[0], ends[1] + 1), is_ordered=True),
}

RANGES: Mapping[str, Callable[[Sequence[Any]], ListedRange | IntervalRange]] = {
    each.name: _MAKERS[each.name] for each in declared_fields(SweptField)
}
"""What makes a range of a field's values, by the key of the language."""

ENDS = ("log_uniform", "uniform", "int")
"""Keys whose value is a least and a largest number."""


def given_range(name: str, values: Sequence[Any]) -> ListedRange | IntervalRange:
    """Return the range that a key of the language makes of its values."""
    return RANGES[name](values)
