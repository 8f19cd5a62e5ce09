"""The module graph: what a model is, as a plain document between the compiler and the runtime.

Standard library only, so that the runtime can import it without the compiler's other parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from wavetwin.files.json_text import parse_json

GRAPH_VERSION = 1

Attribute = bool | int | float | str | None | tuple["Attribute", ...]
"""What an attribute may hold: a scalar or a tuple of attributes; JSON arrays come back as tuples."""


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of scalars.

    Trained, held fixed by `frozen`, and in floating-point buffers (fixed filters, running
    statistics).
    """

    trainable: int = 0
    frozen: int = 0
    buffers: int = 0

    def __add__(self, other: ParameterCounts) -> ParameterCounts:
        return ParameterCounts(
            self.trainable + other.trainable,
            self.frozen + other.frozen,
            self.buffers + other.buffers,
        )

    @property
    def total(self) -> int:
        """Trainable and frozen parameters; buffers are not parameters."""
        return self.trainable + self.frozen


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    `id` is the dotted path of its module in the built model, and the prefix of its
    state-dict names; `op` is a key of the catalogue.
    """

    id: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    output_shape: tuple[int, ...]
    """Without the batch; channels first."""
    is_complex: bool = False
    """Whether the output holds complex numbers; `output_shape` counts complex channels then."""
    parameters: ParameterCounts = field(default_factory=ParameterCounts)
    macs: int = 0
    """Multiply-accumulates per image of convolutions, linear layers and the packet bank."""
    elementwise: int = 0
    """Scalar operations per image of everything else: norms, activations, pooling, blur."""
    activation_bytes: int = 0
    """Size of the output per image in float32."""
    origin: tuple[str, ...] = ()
    """The spec lines that the node comes from, `path:line`."""
    parts: tuple[Node, ...] = ()
    """The nodes that a pass merged into this one and whose parameters it owns, as they were: under
    their ids, which lie below this node's, the parameters keep their names."""

    @property
    def owners(self) -> tuple[Node, ...]:
        """The nodes by whose ids this node's parameters are named: its parts, or itself."""
        return self.parts or (self,)

    @property
    def section(self) -> str:
        """The top-level part of the model: `input`, `stem`, `pool` or `trunk`."""
        return self.id.split(".", 1)[0]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    @property
    def input(self) -> Node:
        """The node of op `input`; its output shape is the image's."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The node whose output is the model's."""
        return self.nodes[-1]

    @property
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
            ValueError: the document is of another kind or version.
        """
        if document.get("wavetwin_graph") != GRAPH_VERSION:
            raise ValueError(
                f"not a module graph of version {GRAPH_VERSION}: "
                f"wavetwin_graph is {document.get('wavetwin_graph')!r}"
            )
        return ModuleGraph(
            name=document["name"],
            nodes=tuple(_node_from_json(node) for node in document["nodes"]),
            passes=tuple(PassRecord(**record) for record in document["passes"]),
        )

    @staticmethod
    def from_text(text: str) -> ModuleGraph:
        """Read a document from JSON text."""
        return ModuleGraph.from_json(parse_json(text))


def node_to_json(node: Node) -> dict[str, Any]:
    """Return one node as JSON values, as in graph.json and `show --json`."""
    return {
        "id": node.id,
        "op": node.op,
        "inputs": list(node.inputs),
        "attributes": {key: _plain(value) for key, value in node.attributes.items()},
        "output_shape": list(node.output_shape),
        "complex": node.is_complex,
        "parameters": {
            "trainable": node.parameters.trainable,
            "frozen": node.parameters.frozen,
            "buffers": node.parameters.buffers,
        },
        "macs": node.macs,
        "elementwise": node.elementwise,
        "activation_bytes": node.activation_bytes,
        "origin": list(node.origin),
        **({"parts": [node_to_json(part) for part in node.parts]} if node.parts else {}),
    }


def _node_from_json(document: Mapping[str, Any]) -> Node:
    return Node(
        id=document["id"],
        op=document["op"],
        inputs=tuple(document["inputs"]),
        attributes={key: _frozen(value) for key, value in document["attributes"].items()},
        output_shape=tuple(document["output_shape"]),
        is_complex=document["complex"],
        parameters=ParameterCounts(**document["parameters"]),
        macs=document["macs"],
        elementwise=document["elementwise"],
        activation_bytes=document["activation_bytes"],
        origin=tuple(document["origin"]),
        parts=tuple(_node_from_json(part) for part in document.get("parts", ())),
    )


def _plain(value: Attribute) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Attribute:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in cast("list[Any]", value))
    return value
