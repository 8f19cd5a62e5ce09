"""Declare a metric of the project's own, which an entry of the evaluation has beside its errors."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.section import Section, declare

__all__ = ["OwnMetric"]


@frozen(kw_only=True)
class OwnMetric(Section):
    """A metric of the project's own."""

    name: str = declare(
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$",
        rule="letters, digits and '_', at most 64 characters, a letter first",
    )
    """What the score is called in scores.json, in reports and in the index of runs."""
    module: OwnCode = declare(section=OwnCode)
    """A function of logits and labels to a number, or a class: of objects that are called so, or that have
    `update` and `compute` as torchmetrics' have."""

    @property
    def definition(self) -> str:
        """A text that metrics share which compute the same, of a resolved spec."""
        return f"{self.module.describe()}, SHA-256 {self.module.digest}"

    def describe(self) -> str:
        """Return the metric as text: `balanced (Balanced(adjusted=True) of own/metrics.py)`."""
        return f"{self.name} ({self.module.describe()})"
