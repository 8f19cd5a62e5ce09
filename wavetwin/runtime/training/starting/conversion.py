"""Convert state dicts that others trained to a model's names, and check them tensor by tensor.

Tensors go by the reference's names, which for standard networks are torchvision's and for blurring
ones those of the antialiased networks; or by this project's own. Fixed filters are compared, too: a
file whose filters differ is of a network that computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Linear
from wavetwin.ir.parameters import Parameter
from wavetwin.ir.starting_weights import find_state
from wavetwin.runtime.training.starting.reference_names import (
    reference_constants,
    reference_to_graph_names,
)
from wavetwin.runtime.training.starting.tensor_checks import (
    COUNTER,
    TensorChecker,
    TensorFault,
    WeightsError,
)
from wavetwin.runtime.training.state_dicts import fit_names

__all__ = [
    "Converted",
    "Matched",
    "NumClasses",
    "convert_state_dict",
    "describe_not_finite",
    "match_state_dict",
]

Naming = Literal["reference", "wavetwin"]
NumClasses = int | Literal["any"] | None
"""Classes of the given classifier: as many as this, any number, or the spec's."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A state dict in the model's names, and what it was made from."""

    state: dict[str, Tensor]
    """In the order of the model's; the tensors share memory with the given ones."""
    naming: Naming
    num_constants: int
    """Constants that were compared and left out."""
    sets_counters: bool
    """Whether the batch norms' counters were absent, as before torch 0.4.1, and are 0."""
    num_classes: int
    """Outputs of the classifier."""
    num_parameters: int
    notes: tuple[str, ...] = ()
    """What was taken off the given names, for people."""
    not_finite: tuple[str, ...] = ()
    """Tensors with infinite values or none, and of how many values each, for people."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What of a given state dict is a model's, and what does not agree."""

    state: dict[str, Tensor]
    """The tensors that agree, by the model's names; they share memory with the given ones."""
    names: Mapping[str, str]
    """The given names of all of the model's tensors, and the model's."""
    naming: Naming
    num_constants: int
    """Constants that were compared and left out."""
    sets_counters: bool
    """Whether the batch norms' counters were absent, as before torch 0.4.1, and are 0."""
    num_classes: int | None
    """Outputs that the classifier was expected to have; None where the model has no classifier."""
    faults: tuple[TensorFault, ...]
    other_classes: int | None
    """Of the given classifier, where that alone does not fit."""
    whole_below: tuple[str, ...]
    """What some names begin with, where those alone are all of the model's; sought where there are
    faults."""
    why_own_names: str | None
    """Why our names alone are taken, where tensors are missing under these."""
    notes: tuple[str, ...]
    """What was taken off the given names, for people."""
    not_finite: tuple[str, ...]
    """Tensors with infinite values or none, and of how many values each, for people."""


def match_state_dict(
    graph: ModuleGraph, state_dict: Mapping[str, Tensor], num_classes: NumClasses = None
) -> Matched:
    """Compare a state dict of the reference's, torchvision's or our names with one of our models.

    Args:
        graph: as written, not optimised.
        state_dict: every name may begin with what a wrapper puts there, as `module.` or `model.`,
            and have it within, as `features.module.0.weight`.
        num_classes: of the given classifier, where it is not the spec's.
    """
    expected = {
        each.name: torch.empty(each.shape, dtype=_dtype(each), device="meta")
        for each in find_state(graph)
    }
    given, notes = fit_names(state_dict, _namings(graph, expected))
    names, naming = _choose_names(graph, given, expected)
    classifier, outputs = graph.classifier, None
    if classifier is not None:
        outputs = _num_outputs(num_classes, given, names, classifier)
        for part in ("weight", "bias"):
            own = expected.get(f"{classifier.id}.{part}")
            if own is not None:
                expected[f"{classifier.id}.{part}"] = own.new_empty((outputs, *own.shape[1:]))
    constants = reference_constants(graph) if naming == "reference" else {}
    counters = [name for name in names if name.endswith(COUNTER)]
    sets_counters = not any(name in given for name in counters) and any(
        f"{name.removesuffix(COUNTER)}running_mean" in given for name in counters
    )
    checker = TensorChecker(graph, given, naming)
    state = checker.tensors(names, expected, sets_counters)
    for name, node_id in constants.items():
        checker.constant(name, node_id)
    checker.left_over(names.keys() | constants.keys())
    return Matched(
        state={name: state[name] for name in expected if name in state},
        names=names,
        naming=naming,
        num_constants=sum(name in given for name in constants),
        sets_counters=sets_counters,
        num_classes=outputs,
        faults=tuple(checker.faults),
        other_classes=None if classifier is None else checker.other_classes(classifier),
        whole_below=tuple(_whole_below(given, _namings(graph, expected))) if checker.faults else (),
        why_own_names=_why_own_names(graph, checker.faults),
        notes=notes,
        not_finite=tuple(_not_finite(state)),
    )


def _dtype(each: Parameter) -> torch.dtype:
    return torch.int64 if each.label in each.node.operation.whole_numbers() else torch.float32


def convert_state_dict(
    graph: ModuleGraph, state_dict: Mapping[str, Tensor], num_classes: NumClasses = None
) -> Converted:
    """Return a state dict of the reference's, torchvision's or our names as one of our models.

    Args are those of `match_state_dict`; everything has to agree.

    Raises:
        WeightsError: tensors are missing, left over, of another shape or kind, or constants differ.
    """
    assert graph.classifier is not None, "the reference's networks end in a linear layer"
    matched = match_state_dict(graph, state_dict, num_classes)
    if matched.faults:
        raise WeightsError(graph.name, matched.faults, _remedy(matched))
    assert matched.num_classes is not None
    parameters = (
        f"{node.id}.{name}"
        for node in graph
        if node.parameters.total
        for name in node.operation.weights(graph.inputs_of(node)[0].output_shape)
    )
    return Converted(
        matched.state,
        matched.naming,
        matched.num_constants,
        matched.sets_counters,
        matched.num_classes,
        sum(matched.state[name].numel() for name in parameters),
        matched.notes,
        matched.not_finite,
    )


def _remedy(matched: Matched) -> str | None:
    number = matched.other_classes
    if number is not None:
        return (
            "another number of classes is taken if you ask for it: "
            f"--num-classes {number}, num_classes={number} in Python"
        )
    if matched.whole_below:
        options = list_some((f"--state-dict {start}" for start in matched.whole_below), " or ")
        return f"the model's names are there below a part of the names: {options} takes those alone"
    return matched.why_own_names


def describe_not_finite(tensors: tuple[str, ...]) -> str:
    """Return a sentence on tensors with values that are no finite numbers."""
    return f"values that are no finite numbers: {list_some(tensors)}"


def _not_finite(state: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the tensors that have infinite values or none, each with their number."""
    for name, value in state.items():
        # A sum is finite only where every value is; where it is too large, the values are counted.
        if value.is_floating_point() and not value.sum().isfinite():
            number = value.numel() - int(value.isfinite().sum())
            if number:
                yield f"{name} ({number:,} of {value.numel():,})"


def _choose_names(
    graph: ModuleGraph, given: Mapping[Any, Any], expected: Mapping[str, Tensor]
) -> tuple[dict[str, str], Naming]:
    """Return the given names of the model's tensors, and whose names they are."""
    own = {name: name for name in expected}
    try:
        theirs = reference_to_graph_names(graph)
    except ValueError:
        return own, "wavetwin"
    if len(given.keys() & own.keys()) > len(given.keys() & theirs.keys()):
        return own, "wavetwin"
    return theirs, "reference"


def _namings(graph: ModuleGraph, expected: Mapping[str, Tensor]) -> list[Set[str]]:
    """Return the names that a state dict of the model can have: ours, and the reference's."""
    try:
        return [expected.keys(), reference_to_graph_names(graph).keys()]
    except ValueError:
        return [expected.keys()]


def _why_own_names(graph: ModuleGraph, faults: list[TensorFault]) -> str | None:
    """Return why our names alone are taken, where tensors are missing under these."""
    if all(fault.kind != "missing" for fault in faults):
        return None
    try:
        reference_to_graph_names(graph)
    except ValueError as error:
        return f"its tensors are taken by wavetwin's own names alone: {error}"
    return None


def _whole_below(given: Mapping[Any, Any], namings: list[Set[str]]) -> Iterator[str]:
    """Yield what some names begin with, where those alone are all of the model's."""
    names = [name for name in given if isinstance(name, str)]
    starts = dict.fromkeys(
        ".".join(parts[:depth])
        for parts in (name.split(".")[:-1] for name in names)
        for depth in (1, 2)
        if len(parts) >= depth
    )
    for start in starts:
        below = {name[len(start) + 1 :] for name in names if name.startswith(f"{start}.")}
        if any(
            all(name in below for name in naming if not name.endswith(COUNTER))
            for naming in namings
        ):
            yield start


def _num_outputs(
    num_classes: NumClasses, given: Mapping[Any, Any], names: Mapping[str, str], classifier: Node
) -> int:
    """Return the outputs that the given classifier is to have."""
    if isinstance(num_classes, int):
        return num_classes
    if num_classes == "any":
        name = next(name for name, own in names.items() if own == f"{classifier.id}.weight")
        value = given.get(name)
        if isinstance(value, Tensor) and value.ndim == 2 and value.shape[0] > 0:
            return value.shape[0]
    assert isinstance(classifier.operation, Linear), classifier.id
    return classifier.operation.features
