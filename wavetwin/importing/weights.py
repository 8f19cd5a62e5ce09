"""Import weights that others trained, as a state dict of a model of ours.

Tensors go by the reference's names, which for standard networks are torchvision's and for blurring
ones those of the antialiased networks; or by this project's own. Everything has to agree, the fixed
filters too: a file whose filters differ is of a network that computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import printable
from wavetwin.importing.reference_names import reference_constants, reference_to_graph_names
from wavetwin.importing.tensor_checks import (
    COUNTER,
    TensorChecker,
    TensorFault,
    WeightsError,
)
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Linear
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import read_foreign, write_weights
from wavetwin.runtime.training.state_dicts import fit_names

__all__ = [
    "Converted",
    "ImportedWeights",
    "NumClasses",
    "TensorFault",
    "WeightsError",
    "convert_state_dict",
    "describe_not_finite",
    "import_weights",
]

NumClasses = int | Literal["any"] | None
"""Classes of the given classifier: as many as this, any number, or the spec's."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A state dict in the model's names, and what it was made from."""

    state: dict[str, Tensor]
    """In the order of the model's; the tensors share memory with the given ones."""
    naming: Literal["reference", "wavetwin"]
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
class ImportedWeights:
    """A weights file that was written, and where it came from."""

    converted: Converted
    metadata: Mapping[str, str]
    """What the file's header holds."""
    out: Path
    notes: tuple[str, ...] = ()
    """What was chosen from the given file, for people."""

    def describe(self) -> str:
        """Return what matched, for people to read."""
        given, made = self.metadata, self.converted
        names = {
            "reference": "names as the published models' or torchvision's",
            "wavetwin": "wavetwin's own names",
        }
        lines = [
            f"from     {printable(given['source'])}, SHA-256 {given['source_sha256']}",
            *(f"         {note}" for note in (*self.notes, *made.notes)),
            f"         {names[made.naming]}",
            f"matched  {len(made.state)} tensors of {given['spec']}, "
            f"{made.num_parameters:,} parameters, {made.num_classes} classes",
        ]
        if made.num_constants:
            lines.append(f"         {made.num_constants} fixed filters and constants compared")
        if made.sets_counters:
            lines.append(
                "         counters of the batch norms, absent as before torch 0.4.1, are 0"
            )
        if made.not_finite:
            lines.append(f"warning  {describe_not_finite(made.not_finite)}")
        return "".join(f"{line}\n" for line in (*lines, f"written  {self.out}"))


def convert_state_dict(
    graph: ModuleGraph, state_dict: Mapping[str, Tensor], num_classes: NumClasses = None
) -> Converted:
    """Return a state dict of the reference's, torchvision's or our names as one of our models.

    Args:
        graph: as written, not optimised.
        state_dict: every name may begin with what a wrapper puts there, as `module.` or `model.`,
            and have it within, as `features.module.0.weight`.
        num_classes: of the given classifier, where it is not the spec's.

    Raises:
        WeightsError: tensors are missing, left over, of another shape or kind, or constants differ.
    """
    with torch.device("meta"):
        network = build_module(graph)
    expected = dict(network.state_dict())
    given, notes = fit_names(state_dict, _namings(graph, expected))
    names, naming = _choose_names(graph, given, expected)
    classifier = _classifier(graph)
    outputs = _num_outputs(num_classes, given, names, classifier)
    for part in ("weight", "bias"):
        own = expected.get(f"{classifier.id}.{part}")
        if own is not None:
            expected[f"{classifier.id}.{part}"] = own.new_empty((outputs, *own.shape[1:]))
    constants = reference_constants(graph) if naming == "reference" else {}
    counters = [name for name in names if name.endswith(COUNTER)]
    sets_counters = bool(counters) and not any(name in given for name in counters)
    checker = TensorChecker(graph, given, naming)
    state = checker.tensors(names, expected, sets_counters)
    for name, node_id in constants.items():
        checker.constant(name, node_id)
    checker.left_over(names.keys() | constants.keys())
    if checker.faults:
        remedy = (
            checker.remedy(classifier)
            or _remedy_of_prefix(given, _namings(graph, expected))
            or _why_own_names(graph, checker.faults)
        )
        raise WeightsError(graph.name, tuple(checker.faults), remedy)
    num_parameters = sum(state[name].numel() for name, _ in network.named_parameters())
    return Converted(
        {name: state[name] for name in expected},
        naming,
        sum(name in given for name in constants),
        sets_counters,
        outputs,
        num_parameters,
        notes,
        tuple(_not_finite(state)),
    )


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


def import_weights(
    file: Path,
    graph: ModuleGraph,
    plan: TrainingPlan,
    out: Path,
    num_classes: NumClasses = None,
    key: str | None = None,
) -> ImportedWeights:
    """Write a file of anybody's weights as a safetensors file of ours.

    Args:
        file: of safetensors, `torch.save` or Lightning.
        graph: as written, not optimised.
        plan: of the same spec; names it in the written file's header.
        out: ends in `.safetensors`; not there yet.
        num_classes: of the file's classifier, where it is not the spec's.
        key: of the state dict in the file, where there are several.

    Raises:
        RunError: a file cannot be read or written, or the weights are not the model's.
    """
    if out.suffix != ".safetensors":
        raise RunError(
            "bad-argument", "is not named .safetensors, which is what is written", subject=out
        )
    if out.exists():
        raise RunError("output-exists", "is there already, and is not overwritten", subject=out)
    if not out.absolute().parent.is_dir():
        raise RunError(
            "cannot-write",
            "cannot be written: No such file or directory",
            f"make the folder {out.parent} first, or choose another one",
            subject=out,
        )
    foreign = read_foreign(file, key)
    try:
        converted = convert_state_dict(graph, foreign.tensors, num_classes)
    except WeightsError as error:
        raise WeightsError(f"{graph.name} ({file})", error.faults, error.remedy) from None
    metadata = {
        "format": "pt",
        # A name may have bytes that are no text.
        "source": file.name.encode(errors="backslashreplace").decode(),
        "source_sha256": foreign.sha256,
        "spec": plan.name,
        "digest": plan.digest,
        "model_digest": plan.model_digest,
        "num_classes": str(converted.num_classes),
    }
    write_weights(out, converted.state, metadata)
    return ImportedWeights(converted, metadata, out, foreign.notes)


def _choose_names(
    graph: ModuleGraph, given: Mapping[Any, Any], expected: Mapping[str, Tensor]
) -> tuple[dict[str, str], Literal["reference", "wavetwin"]]:
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


def _remedy_of_prefix(given: Mapping[Any, Any], namings: list[Set[str]]) -> str | None:
    """Return how to take a part of the names alone, where that part is all of the model's."""
    names = [name for name in given if isinstance(name, str)]
    starts = dict.fromkeys(
        ".".join(parts[:depth])
        for parts in (name.split(".")[:-1] for name in names)
        for depth in (1, 2)
        if len(parts) >= depth
    )
    whole: list[str] = []
    for start in starts:
        below = {name[len(start) + 1 :] for name in names if name.startswith(f"{start}.")}
        if any(
            all(name in below for name in naming if not name.endswith(COUNTER))
            for naming in namings
        ):
            whole.append(start)
    if not whole:
        return None
    options = list_some((f"--state-dict {start}" for start in whole), " or ")
    return f"the model's names are there below a part of the names: {options} takes those alone"


def _classifier(graph: ModuleGraph) -> Node:
    assert graph.classifier is not None, "the reference's networks end in a linear layer"
    return graph.classifier


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
