"""Give parameters a learning rate and a weight decay of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.parameters import MAX_LENGTH, find_parameters, matches
from wavetwin.ir.section import Section, declare

__all__ = ["ParameterGroup", "group_numbers"]


@frozen(kw_only=True)
class ParameterGroup(Section):
    """Parameters that are trained with another learning rate or weight decay than the rest."""

    match: tuple[str, ...] = declare(min_length=1, max_length=64, items={"max_length": MAX_LENGTH})
    """What is in it: `norms`, `biases`, `classifier`, `stem`, `trunk`, `trunk.layer1`, any node's id. A
    parameter that several groups match is in the first of them."""
    lr_factor: float = declare(
        1.0, label="factor of the learning rate", later=True, gt=0.0, le=1000.0
    )
    """Of the learning rate, in every step."""
    weight_decay: float | None = declare(None, later=True, ge=0.0, le=100.0)
    """In place of the optimiser's."""

    def describe(self) -> str:
        """Return the group as text: `norms and biases: learning rate x 0.1, weight decay 0`."""
        rate = [f"learning rate x {self.lr_factor:g}"] if self.lr_factor != 1 else []
        decay = [] if self.weight_decay is None else [f"weight decay {self.weight_decay:g}"]
        return f"{', '.join(self.match)}: {', '.join([*rate, *decay]) or 'as the others'}"


def group_numbers(graph: ModuleGraph, groups: Iterable[ParameterGroup]) -> Mapping[str, int]:
    """Return the number of each parameter's group by the parameter's name; none of the rest."""
    found: dict[str, int] = {}
    for number, group in enumerate(groups):
        for parameter in find_parameters(graph):
            if matches(graph, parameter, group.match):
                found.setdefault(parameter.name, number)
    return found
