"""Import weights: what others trained, as a state dict of a model of ours.

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

from wavetwin.compiler.graph import ModuleGraph, Node
from wavetwin.compiler.plan import TrainingPlan
from wavetwin.runtime.build import build_module
from wavetwin.runtime.checkpoint import read_foreign, write_weights
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.filters import qshift_taps, wavelet_taps
from wavetwin.runtime.layers import BlurPool
from wavetwin.runtime.reference_names import reference_constants, reference_to_graph_names
from wavetwin.runtime.state_dicts import fit_names, list_some

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

_SHOWN = 8
"""Tensors of one kind of fault that a message names."""
_COUNTER = "num_batches_tracked"
_CONSTANT_TOLERANCE = 1e-6
"""Relative to the largest value: what float32 keeps of them, and a little more."""
_NOT_FLOATING = "instead of a floating-point type"


@dataclass(frozen=True, slots=True)
class TensorFault:
    """One tensor that does not agree."""

    kind: Literal["missing", "left over", "of another shape", "of another kind", "other constant"]
    name: str
    """In the given state dict."""
    own_name: str | None
    """In the model's; None where the model has no such tensor."""
    text: str
    """Shapes, or what is wrong."""


class WeightsError(RunError):
    """A state dict is not of the model; carries every tensor that does not agree."""

    def __init__(
        self, subject: str, faults: tuple[TensorFault, ...], remedy: str | None = None
    ) -> None:
        self.faults = faults
        counts: dict[str, int] = {}
        for fault in faults:
            counts[fault.kind] = counts.get(fault.kind, 0) + 1
        counted = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        lines = [f"the weights are not those of {subject}: {counted}"]
        shown: dict[str, int] = {}
        for fault in faults:
            shown[fault.kind] = shown.get(fault.kind, 0) + 1
            if shown[fault.kind] > _SHOWN:
                continue
            own = "" if fault.own_name in (None, fault.name) else f" = {fault.own_name}"
            lines.append(f"  {fault.kind}: {_printable(fault.name)}{own} {fault.text}")
        lines += [
            f"  {kind}: and {number - _SHOWN} more"
            for kind, number in counts.items()
            if number > _SHOWN
        ]
        super().__init__("\n".join(lines), remedy)


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
            f"from     {_printable(given['source'])}, SHA-256 {given['source_sha256']}",
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
    counters = [name for name in names if name.endswith(_COUNTER)]
    sets_counters = bool(counters) and not any(name in given for name in counters)
    checker = _Checker(graph, given, naming)
    state = checker.tensors(names, expected, sets_counters)
    for name, node_id in constants.items():
        checker.constant(name, node_id)
    checker.left_over(names.keys() | constants.keys())
    if checker.faults:
        remedy = checker.remedy(classifier) or _remedy_of_prefix(given, _namings(graph, expected))
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
        if value.is_floating_point():
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
        raise RunError(f"{out}: what is written is a .safetensors file, and is named so")
    if out.exists():
        raise RunError(f"{out} is there already, and is not overwritten")
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


class _Checker:
    """Compares the given tensors with what the model has, and keeps every fault."""

    def __init__(
        self,
        graph: ModuleGraph,
        given: Mapping[Any, Any],
        naming: Literal["reference", "wavetwin"],
    ) -> None:
        self.nodes = {node.id: node for node in graph}
        self.given = given
        self.naming = naming
        self.faults: list[TensorFault] = []

    def add(self, kind: Any, name: str, own_name: str | None, text: str) -> None:
        """Keep a fault."""
        self.faults.append(TensorFault(kind, name, own_name, text))

    def _shape(self, own_name: str, own: Tensor) -> tuple[int, ...]:
        """Return the shape of a tensor of ours in the given naming."""
        is_mixing = own.ndim == 4 and any(
            node.op == "packet_mixing" and own_name.startswith(f"{node.id}.")
            for node in self.nodes.values()
        )
        # The reference mixes the real and imaginary parts by a three-dimensional convolution.
        return (*own.shape, 1) if is_mixing and self.naming == "reference" else tuple(own.shape)

    def _shape_text(self, own_name: str, own: Tensor) -> str:
        """Return the shape in the given naming, and in ours where it is another."""
        shape = self._shape(own_name, own)
        return f"{shape}" if shape == tuple(own.shape) else f"{shape} = {tuple(own.shape)}"

    def tensors(
        self, names: Mapping[str, str], expected: Mapping[str, Tensor], sets_counters: bool
    ) -> dict[str, Tensor]:
        """Return the given tensors that agree, by our names; `expected` says what ours are."""
        state: dict[str, Tensor] = {}
        for name, own_name in names.items():
            own = expected[own_name]
            if name in self.given:
                value = self._tensor(name, own_name, own)
                if value is not None:
                    state[own_name] = value
            elif sets_counters and name.endswith(_COUNTER):
                state[own_name] = torch.zeros((), dtype=torch.int64)
            else:
                self.add("missing", name, own_name, self._shape_text(own_name, own))
        return state

    def left_over(self, known: Set[str]) -> None:
        """Refuse every given name that is not known."""
        for name, value in self.given.items():
            if name not in known:
                text = str(tuple(value.shape)) if isinstance(value, Tensor) else "(not a tensor)"
                self.add("left over", str(name), None, text)

    def _tensor(self, name: str, own_name: str, own: Tensor) -> Tensor | None:
        """Return a given tensor in our shape, or None if it does not agree."""
        value = self.given[name]
        if not self._is_tensor(name, own_name):
            return None
        shape = self._shape(own_name, own)
        if tuple(value.shape) != shape:
            wanted = self._shape_text(own_name, own)
            self.add(
                "of another shape", name, own_name, f"{tuple(value.shape)} instead of {wanted}"
            )
            return None
        value = value.detach()
        if name.endswith(_COUNTER):
            number = float(value)
            if not (number.is_integer() and number >= 0):
                self.add("of another kind", name, own_name, f"{number} counts nothing")
                return None
            return value.to(torch.int64)
        if not value.is_floating_point():
            self.add("of another kind", name, own_name, f"{value.dtype} {_NOT_FLOATING}")
            return None
        return value.reshape(own.shape)

    def constant(self, name: str, node_id: str) -> None:
        """Compare a constant of the reference's with what the model computes with.

        One that is not given is no loss: the model makes it itself.
        """
        if name not in self.given:
            return
        expected = self._constant(name, self.nodes[node_id])
        value = self.given[name]
        if not self._is_tensor(name, node_id):
            return
        if value.shape != expected.shape:
            text = f"{tuple(value.shape)} instead of {tuple(expected.shape)}"
            self.add("of another shape", name, node_id, text)
            return
        if not value.is_floating_point():
            self.add("of another kind", name, node_id, f"{value.dtype} {_NOT_FLOATING}")
            return
        # Half precision rounds the constants as it rounds the weights.
        tolerance = max(_CONSTANT_TOLERANCE, 2 * torch.finfo(value.dtype).eps)
        largest = float((value.detach().cpu().to(torch.float64) - expected).abs().max())
        # Not the other way round: a NaN differs.
        if not largest <= tolerance * float(expected.abs().max()):
            self.add("other constant", name, node_id, f"differs by up to {largest:.3g}")

    def remedy(self, classifier: Node) -> str | None:
        """Return what helps where the classifier alone does not fit."""
        own = {f"{classifier.id}.weight", f"{classifier.id}.bias"}
        if any(f.kind != "of another shape" or f.own_name not in own for f in self.faults):
            return None
        classes = {self.given[fault.name].shape[:1] for fault in self.faults}
        if len(classes) != 1 or not all(classes):
            return None
        number = classes.pop()[0]
        return (
            "another number of classes is taken if you ask for it: "
            f"--num-classes {number}, num_classes={number} in Python"
        )

    def _is_tensor(self, name: str, own_name: str) -> bool:
        value = self.given[name]
        if not isinstance(value, Tensor):
            what = type(value).__name__
        elif value.layout != torch.strided:
            what = str(value.layout)
        elif value.is_complex() or value.is_quantized:
            what = str(value.dtype)
        elif value.is_meta:
            what = "no values"
        else:
            return True
        self.add("of another kind", name, own_name, f"{what} instead of a dense real tensor")
        return False

    def _constant(self, name: str, node: Node) -> Tensor:
        """Return the value that the reference keeps under a name, float64, as the model has it."""
        attributes: Mapping[str, Any] = node.attributes
        if node.op == "packets":
            taps = qshift_taps if attributes["transform"] == "dtcwpt" else wavelet_taps
            low, high = taps(attributes["filters"])
            return low if name.endswith("_hfilters") else high
        if node.op == "blur_pool":
            channels = node.output_shape[0]
            with torch.device("cpu"):
                taps_1d = BlurPool(attributes["size"], attributes["stride"]).double().taps
            return torch.outer(taps_1d, taps_1d).expand(channels, 1, -1, -1)
        assert node.op == "bias", node.op
        return torch.ones((attributes["channels"], 1, 1, 1), dtype=torch.float64, device="cpu")


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
            all(name in below for name in naming if not name.endswith(_COUNTER))
            for naming in namings
        ):
            whole.append(start)
    if not whole:
        return None
    options = " or ".join(f"--state-dict {_printable(start)}" for start in whole[:_SHOWN])
    return f"the model's names are there below a part of the names: {options} takes those alone"


def _classifier(graph: ModuleGraph) -> Node:
    return [node for node in graph if node.op == "linear"][-1]


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
    features = classifier.attributes["features"]
    assert isinstance(features, int)
    return features


def _printable(text: str) -> str:
    """Return a text from outside with what a terminal would act on as escapes."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
