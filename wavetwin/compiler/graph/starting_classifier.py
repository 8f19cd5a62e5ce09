"""Compare the classes of a weights file's classifier with the network's, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.architecture import NoForeignNamesError
from wavetwin.ir.backbones import find_architecture
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.starting_weights import find_state, is_asked_for

if TYPE_CHECKING:
    from wavetwin.files.tensor_shapes import Shape

__all__ = ["check_classifier"]

_MATRIX = 2
"""Dimensions of a linear layer's weights: classes, features."""


def check_classifier(
    loaded: LoadedSpec, graph: ModuleGraph, plan: TrainingPlan, tensors: Mapping[str, Shape] | None
) -> Iterator[Diagnostic]:
    """Yield that the last layer is loaded, and that the file's is of another number of classes.

    Names may have anything before them. What does not say it clearly is left to the start of the run,
    which reads the file whole.

    Args:
        loaded: says where values were set.
        graph: as written.
        plan: says what is loaded.
        tensors: the file's, by name; None where they cannot be read.
    """
    weights, classifier = plan.weights, graph.classifier
    if weights is None or classifier is None or not tensors or weights.on_mismatch == "skip":
        return
    own = next(
        each for each in find_state(graph) if each.node is classifier and len(each.shape) == _MATRIX
    )
    if not is_asked_for(graph, weights, own):
        return
    ends = tuple(f".{start}{own.label}" for start in _modules(graph, classifier))
    given = {
        shape[0]
        for name, shape in tensors.items()
        if f".{name}".endswith(ends)
        and (weights.state_dict is None or name.startswith(f"{weights.state_dict}."))
        and shape[1:] == own.shape[1:]
    }
    if len(given) == 1 and own.shape[0] not in given:
        yield conflict(
            loaded,
            "classifier-does-not-fit",
            f"the classifier of {weights.file} has {given.pop():,} classes, and the spec's has "
            f"{own.shape[0]:,}",
            [f"weights.{weights.field}", *_what_says_classes(loaded)],
            help="set weights.classifier to new: the last layer begins anew, for these classes",
        )


def _what_says_classes(loaded: LoadedSpec) -> list[str]:
    paths = ("data.num_classes", "data.lock.classes", "data.dataset")
    return [path for path in paths if loaded.has(path)][:1]


def _modules(graph: ModuleGraph, node: Node) -> Iterator[str]:
    """Yield what a module is called here and elsewhere, with the final dot."""
    yield f"{node.id}."
    architecture = find_architecture(graph)
    if architecture is not None:
        try:
            yield architecture.module_names(graph)[node.id]
        except NoForeignNamesError:
            return
