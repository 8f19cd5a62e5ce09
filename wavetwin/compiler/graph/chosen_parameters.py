"""Hold the parameters that a training chooses by name against the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.parse.suggest import join_texts, suggest
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.parameters import CHOICES, Parameter, find_parameters, held_fixed, matches
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.starting_weights import find_state, is_asked_for

if TYPE_CHECKING:
    from wavetwin.files.tensor_shapes import Shape

__all__ = ["check_chosen_parameters", "find_drawn", "freeze_others"]

_MANY_NAMES = 40
"""Parts to freeze that no message lists."""


def find_drawn(
    graph: ModuleGraph, plan: TrainingPlan, tensors: Mapping[str, Shape] | None
) -> list[Parameter]:
    """Return the frozen parameters that keep values that were drawn for them; norms are none.

    Args:
        graph: as written.
        plan: says what is frozen and what is loaded.
        tensors: of the file that the training starts from, by name; None where they are not known. A
            layer of the project's own that it has nothing of begins anew.
    """

    def is_loaded(each: Parameter) -> bool:
        if plan.initial_weights is not None and each.node is graph.by_id.get("stem.free"):
            return True
        if plan.weights is None or not is_asked_for(graph, plan.weights, each):
            return False
        if tensors is None or not isinstance(each.node.operation, UserModule):
            return True
        return any(f".{each.node.id}." in f".{name}" for name in tensors)

    fixed = held_fixed(graph, plan.freeze)
    return [each for each in fixed if not each.node.operation.is_norm and not is_loaded(each)]


def freeze_others(
    graph: ModuleGraph, plan: TrainingPlan, left_out: Iterable[Parameter]
) -> str | None:
    """Return how to freeze the same but some parameters, as a sentence; None where no names say it."""
    chosen = list(left_out)
    names_left_out = {each.name for each in chosen}
    parameters = list(find_parameters(graph))

    def parts(name: str) -> Iterator[str]:
        held = [each.name for each in parameters if matches(graph, each, [name])]
        if not names_left_out.intersection(held):
            yield name
        elif not names_left_out.issuperset(held):
            depth = name.count(".") + 2
            for each in dict.fromkeys(".".join(full.split(".")[:depth]) for full in held):
                yield from parts(each)

    if any(name in CHOICES for name in plan.freeze):
        return None
    names = [each for name in plan.freeze for each in parts(name)]
    if not names or len(names) > _MANY_NAMES:
        return None
    nodes = list(dict.fromkeys(each.node.id for each in chosen))
    return f"set training.freeze to [{', '.join(names)}], which leaves {join_texts(nodes, 'and')} to train"


def check_chosen_parameters(
    loaded: LoadedSpec,
    graph: ModuleGraph,
    plan: TrainingPlan,
    tensors: Mapping[str, Shape] | None = None,
) -> Iterator[Diagnostic]:
    """Yield an error for each name that chooses nothing, and one where all is frozen.

    Args:
        loaded: says where values were set.
        graph: as written.
        plan: says what is chosen.
        tensors: of the file that the training starts from, as of `find_drawn`.
    """
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
        drawn = [] if plan.weights is None else find_drawn(graph, plan, tensors)
        of_classifier = [each for each in parameters if each.node is graph.classifier]
        others = freeze_others(graph, plan, drawn or of_classifier)
        yield conflict(
            loaded,
            "nothing-to-train",
            f"all {len(parameters)} trainable parameters are frozen",
            ["training.freeze"],
            help=others or "freeze less: something has to be trained",
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
