"""Define the module graph: what a model is, as a plain document between compiler and runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, Generic, TypedDict, TypeVar, cast

from wavetwin.files.json_form import check_form
from wavetwin.files.json_text import parse_json
from wavetwin.ir.frozen import frozen
from wavetwin.ir.node import Node, NodeDocument, node_from_json, node_to_json, output_shape
from wavetwin.ir.operations import (
    Call,
    ColourMixing,
    Linear,
    Operation,
    PacketBank,
    Packets,
    ParameterCounts,
    RealPart,
    Shape,
)

__all__ = ["GRAPH_VERSION", "SECTIONS", "WITHOUT_STEM", "ModuleGraph", "PassRecord", "users_of"]

Kind = TypeVar("Kind", bound=Operation)

GRAPH_VERSION = 1
SECTIONS = ("input", "stem", "pool", "trunk")
"""The parts of a model, in their order."""
WITHOUT_STEM = ("input", "trunk")
"""The parts of a model whose layers begin with the image."""


@frozen
class Found(Generic[Kind]):
    """A node, and its operation with the type that was asked for."""

    node: Node
    operation: Kind


def users_of(nodes: Iterable[Node]) -> dict[str, tuple[Node, ...]]:
    """Return the nodes that read each node, once for every input."""
    nodes = tuple(nodes)
    found: dict[str, list[Node]] = {node.id: [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            found[source].append(node)
    return {node_id: tuple(readers) for node_id, readers in found.items()}


@frozen
class PassRecord:
    """What one pass did: the cost of the graph before and after it."""

    name: str
    macs_before: int
    macs_after: int
    nodes_before: int
    nodes_after: int
    bytes_before: int = 0
    """Of all activations, per image in float32."""
    bytes_after: int = 0

    @property
    def changed(self) -> bool:
        """Whether the graph costs anything else after the pass."""
        before = (self.macs_before, self.nodes_before, self.bytes_before)
        return before != (self.macs_after, self.nodes_after, self.bytes_after)


class GraphDocument(TypedDict):
    """The whole of graph.json."""

    name: str
    nodes: list[NodeDocument]
    passes: list[PassRecord]


def _check_wiring(nodes: Sequence[Node]) -> None:
    """Hold the nodes of a document against each other and against their operations.

    Raises:
        ValueError: an input is no earlier node, or a shape is not what the operation gives.
    """
    if not nodes or nodes[0].inputs:
        raise ValueError("its first node is no image")
    known: dict[str, Node] = {}
    for node in nodes:
        missing = [source for source in node.inputs if source not in known]
        if missing:
            raise ValueError(f"{node.id} reads {missing[0]!r}, which is not before it")
        if node.id in known:
            raise ValueError(f"{node.id} is there twice")
        shape = output_shape(node, [known[source] for source in node.inputs])
        if shape != node.output_shape:
            raise ValueError(
                f"{node.id}: its shape is {shape}, and {node.output_shape} is recorded"
            )
        known[node.id] = node


@frozen
class ModuleGraph:
    """Nodes in topological order, the first being the input; the last node is the output."""

    name: str
    nodes: tuple[Node, ...]
    passes: tuple[PassRecord, ...] = ()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def node(self, node_id: str) -> Node:
        """Return the node of this id.

        Raises:
            KeyError: there is none.
        """
        return self.by_id[node_id]

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """The nodes by their ids, in topological order."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each node, once for every input."""
        return users_of(self.nodes)

    def inputs_of(self, node: Node) -> tuple[Node, ...]:
        """Return what a node reads."""
        return tuple(self.by_id[source] for source in node.inputs)

    def section(self, name: str) -> tuple[Node, ...]:
        """Return the nodes of one part of the model, in order."""
        return tuple(node for node in self.nodes if node.section == name)

    @property
    def has_stem(self) -> bool:
        """Whether it has a first layer and a first pooling before its trunk."""
        return bool(self.section("stem"))

    @cached_property
    def section_outputs(self) -> Mapping[str, tuple[Node, ...]]:
        """What each section gives: the nodes that later ones read; of the last, its last node."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            outputs = found.setdefault(node.section, [])
            if node is self.output or any(
                user.section != node.section for user in self.users[node.id]
            ):
                outputs.append(node)
        return {name: tuple(outputs) for name, outputs in found.items()}

    @cached_property
    def owners(self) -> tuple[Node, ...]:
        """The nodes by whose ids the parameters are named, parts of merged ones among them."""
        return tuple(
            owner for node in self.nodes for owner in node.owners if owner.parameters.total
        )

    def all_of(self, kind: type[Kind], section: str | None = None) -> list[Found[Kind]]:
        """Return the nodes of one kind of operation, in order, of one section or of all."""
        return [
            Found(node, node.operation)
            for node in self.nodes
            if isinstance(node.operation, kind) and section in (None, node.section)
        ]

    def find(self, kind: type[Kind], section: str | None = None) -> Found[Kind] | None:
        """Return the first node of a kind; None where there is none."""
        return next(iter(self.all_of(kind, section)), None)

    @property
    def classifier(self) -> Node | None:
        """The last linear layer, which has a score for each class; None where there is none."""
        return next(
            (node for node in reversed(self.nodes) if isinstance(node.operation, Linear)), None
        )

    def layer(self, node: Node, names: Mapping[str, object] | None = None) -> Call:
        """Return how a node's layer is written and made.

        Args:
            node: one of this graph's.
            names: what to write, or use, in place of attributes (`channels` by an argument of the
                class) and of the number of input channels (`inputs`); others are not looked at.
        """
        names = names or {}
        operation = node.operation
        known = {each.name for each in fields(operation)}
        values = {name: value for name, value in names.items() if name in known}
        if isinstance(operation, Packets):
            readers = self.users[node.id]
            values["imaginary"] = not all(isinstance(r.operation, RealPart) for r in readers)
        if isinstance(operation, PacketBank):
            mixed = (part.operation for part in node.parts)
            initial = next((each.initial for each in mixed if isinstance(each, ColourMixing)), None)
            values["initial"] = initial
        x = self._first_shape(node)
        if "inputs" in names:
            x = (cast("int", names["inputs"]), *x[1:])
        return operation.written(**values).layer(x, node.output_shape)

    def state(self) -> dict[str, Shape]:
        """Return the names and shapes of the state dict, of a graph as written."""
        return {
            f"{node.id}.{name}": shape
            for node in self.nodes
            for name, shape in node.operation.state(self._first_shape(node)).items()
        }

    def _first_shape(self, node: Node) -> Shape:
        return self.by_id[node.inputs[0]].output_shape if node.inputs else ()

    @property
    def input(self) -> Node:
        """The node of op `input`; its output shape is the image's."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The node whose output is the model's."""
        return self.nodes[-1]

    @cached_property
    def parameters(self) -> ParameterCounts:
        """Sums over the nodes."""
        return sum((node.parameters for node in self.nodes), ParameterCounts())

    @property
    def macs(self) -> int:
        """Sum over the nodes."""
        return sum(node.macs for node in self.nodes)

    @property
    def elementwise(self) -> int:
        """Sum over the nodes."""
        return sum(node.elementwise for node in self.nodes)

    @property
    def activation_bytes(self) -> int:
        """Sum over the nodes: an upper bound of what training keeps per image."""
        return sum(node.activation_bytes for node in self.nodes)

    def with_passes(self, passes: tuple[PassRecord, ...]) -> ModuleGraph:
        """Return the same graph with this list of passes."""
        return replace(self, passes=passes)

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON values; `from_json` reads it back."""
        return {
            "wavetwin_graph": GRAPH_VERSION,
            "name": self.name,
            "nodes": [node_to_json(node) for node in self.nodes],
            "passes": [
                {
                    "name": record.name,
                    "macs_before": record.macs_before,
                    "macs_after": record.macs_after,
                    "nodes_before": record.nodes_before,
                    "nodes_after": record.nodes_after,
                    "bytes_before": record.bytes_before,
                    "bytes_after": record.bytes_after,
                }
                for record in self.passes
            ],
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> ModuleGraph:
        """Read a document written by `to_json`.

        Raises:
            ValueError: the document is of another kind or version, or damaged.
        """
        check_form(document, dict[str, Any])
        if document.get("wavetwin_graph") != GRAPH_VERSION:
            raise ValueError(
                f"not a module graph of version {GRAPH_VERSION}: "
                f"wavetwin_graph is {document.get('wavetwin_graph')!r}"
            )
        check_form(document, GraphDocument)
        nodes = tuple(node_from_json(node) for node in document["nodes"])
        _check_wiring(nodes)
        return ModuleGraph(
            name=document["name"],
            nodes=nodes,
            passes=tuple(PassRecord(**record) for record in document["passes"]),
        )

    @staticmethod
    def from_text(text: str) -> ModuleGraph:
        """Read a document from JSON text."""
        return ModuleGraph.from_json(parse_json(text))
