"""Hold the parameters that a training chooses by name against the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.parse.suggest import suggest
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.parameters import CHOICES, Parameter, find_parameters, held_fixed, matches
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.starting_weights import find_state

__all__ = ["check_chosen_parameters"]


def check_chosen_parameters(
    loaded: LoadedSpec, graph: ModuleGraph, plan: TrainingPlan
) -> Iterator[Diagnostic]:
    """Yield an error for each name that chooses nothing, and one where all is frozen."""
    parameters = list(find_parameters(graph))
    lists = [("training.freeze", plan.freeze)]
    lists += [(f"training.groups.{n}.match", each.match) for n, each in enumerate(plan.groups)]
    for path, names in lists:
        for number, name in enumerate(names):
            if not any(matches(graph, each, [name]) for each in parameters):
                yield conflict(
                    loaded,
                    "no-such-parameters",
                    f"no trainable parameter is of {name}",
                    [f"{path}.{number}"],
                    help=suggest(name, [*CHOICES, *_parts(parameters)]),
                )
    yield from _check_loaded(loaded, graph, plan)
    if plan.freeze and len(held_fixed(graph, plan.freeze)) == len(parameters):
        yield conflict(
            loaded,
            "nothing-to-train",
            f"all {len(parameters)} trainable parameters are frozen",
            ["training.freeze"],
            help="freeze less: something has to be trained",
        )


def _check_loaded(
    loaded: LoadedSpec, graph: ModuleGraph, plan: TrainingPlan
) -> Iterator[Diagnostic]:
    """Yield an error for each part of the weights that the network does not have."""
    if plan.weights is None:
        return
    state = list(find_state(graph))
    for number, name in enumerate(plan.weights.parts):
        if not any(matches(graph, each, [name]) for each in state):
            yield conflict(
                loaded,
                "no-such-parameters",
                f"the network has no weights of {name}",
                [f"weights.parts.{number}"],
                help=suggest(name, [*CHOICES, *_parts(state)]),
            )
    if plan.weights.classifier == "new" and graph.classifier is None:
        yield conflict(
            loaded,
            "no-such-parameters",
            "the network has no classifier that could be new: no layer of it is linear",
            ["weights.classifier"],
            help="remove weights.classifier",
        )


def _parts(parameters: Iterable[Parameter]) -> list[str]:
    """Return the ids of nodes that have some of the parameters, and of what holds such nodes."""
    found: dict[str, None] = {}
    for parameter in parameters:
        steps = parameter.node.id.split(".")
        found |= {".".join(steps[:depth]): None for depth in range(1, len(steps) + 1)}
    return list(found)
