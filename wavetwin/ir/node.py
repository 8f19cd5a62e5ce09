"""Define a node of the module graph: one operation with its inputs, output's shape, and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import prod
from typing import Any, NotRequired, TypedDict, cast

from wavetwin.files.json_form import check_form
from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations import OPERATIONS, Attribute, Operation, ParameterCounts, UnfitError

__all__ = [
    "Node",
    "NodeDocument",
    "ShapeError",
    "complete",
    "make_node",
    "node_from_json",
    "node_to_json",
]

FLOAT_BYTES = 4


class ShapeError(ValueError):
    """An operation has no output for its input: says which node and why."""

    def __init__(self, node_id: str, reason: str) -> None:
        self.node_id = node_id
        self.reason = reason
        self.field = ""
        """Key path of the listed layer that the node comes from; empty where none is."""
        super().__init__(f"{node_id}: {reason}")


@frozen
class Node:
    """One operation with its inputs.

    `id` is the dotted path of its module in the built model, and the prefix of its state-dict names.
    """

    id: str
    operation: Operation
    inputs: tuple[str, ...]
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
    section: str = field(init=False, repr=False, compare=False)
    """The top-level part of the model: `input`, `stem`, `pool` or `trunk`; its id begins with it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.id.partition(".")[0])

    @property
    def op(self) -> str:
        """The operation's name in graph.json: a label."""
        return self.operation.op

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The operation's attributes by name."""
        return self.operation.attributes

    @property
    def owners(self) -> tuple[Node, ...]:
        """The nodes by whose ids this node's parameters are named: its parts, or itself."""
        return self.parts or (self,)


def make_node(
    node_id: str,
    operation: Operation,
    inputs: Sequence[Node],
    origin: tuple[str, ...] = (),
    parts: tuple[Node, ...] = (),
) -> Node:
    """Return a node with its shape, parameters and costs filled in.

    Parameters are those of its parts, where it has any.

    Raises:
        ShapeError: the operation has no output for these inputs.
    """
    least, most = operation.inputs
    fits = least <= len(inputs) and (most is None or len(inputs) <= most)
    assert fits, f"{node_id}: {operation.op} does not take {len(inputs)} inputs"
    # Of several inputs the first is what is worked on; all of a concatenation are of one kind.
    first = inputs[0].is_complex if inputs else False
    if operation.takes != "either":
        wanted = operation.takes == "complex"
        assert all(node.is_complex == wanted for node in inputs), (
            f"{node_id}: takes {operation.takes}"
        )
    shapes = [node.output_shape for node in inputs]
    if operation.works_on_maps and any(len(shape) != 3 for shape in shapes):
        raise ShapeError(node_id, f"{operation.op} works on maps and cannot follow `flatten`")
    try:
        out = operation.output(*shapes)
    except UnfitError as unfit:
        raise ShapeError(node_id, str(unfit)) from None
    is_complex = operation.is_complex(first)
    x = shapes[0] if shapes else ()
    own = operation.counts(x)
    return Node(
        id=node_id,
        operation=operation,
        inputs=tuple(node.id for node in inputs),
        output_shape=out,
        is_complex=is_complex,
        parameters=sum((part.parameters for part in parts), own),
        macs=operation.macs(out, *shapes) * (2 if first else 1),
        elementwise=operation.elementwise(out, *shapes),
        activation_bytes=prod(out) * FLOAT_BYTES * (2 if is_complex else 1),
        origin=origin,
        parts=parts,
    )


def output_shape(node: Node, inputs: Sequence[Node]) -> tuple[int, ...]:
    """Return the shape that a node's operation gives for these inputs, of a document that may be damaged.

    Raises:
        ShapeError: there is none.
    """
    operation = node.operation
    least, most = operation.inputs
    shapes = [each.output_shape for each in inputs]
    if len(inputs) < least or (most is not None and len(inputs) > most):
        raise ShapeError(node.id, f"{operation.op} does not take {len(inputs)} inputs")
    if operation.works_on_maps and any(len(shape) != 3 for shape in shapes):
        raise ShapeError(node.id, f"{operation.op} works on maps")
    try:
        return operation.output(*shapes)
    except UnfitError as unfit:
        raise ShapeError(node.id, str(unfit)) from None
    except (ArithmeticError, LookupError, ValueError) as error:
        # Of attributes that no operation has been made with: a stride of 0, unknown filters.
        raise ShapeError(node.id, f"its attributes give no shape: {error!r}") from None


def complete(node: Node, inputs: Sequence[Node]) -> Node:
    """Return the node with everything computed anew from its operation and inputs.

    Raises:
        ShapeError: the operation has no output for these inputs.
    """
    return make_node(node.id, node.operation, inputs, node.origin, node.parts)


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


class NodeDocument(TypedDict):
    """One node in graph.json."""

    id: str
    op: str
    inputs: list[str]
    attributes: dict[str, Any]
    output_shape: list[int]
    complex: bool
    parameters: ParameterCounts
    macs: int
    elementwise: int
    activation_bytes: int
    origin: list[str]
    parts: NotRequired[list[NodeDocument]]


def node_from_json(document: Mapping[str, Any]) -> Node:
    """Read what `node_to_json` wrote; its form was compared with `NodeDocument`.

    Raises:
        ValueError: the operation is unknown, or has other attributes.
    """
    return Node(
        id=document["id"],
        operation=_operation(document["id"], document["op"], document["attributes"]),
        inputs=tuple(document["inputs"]),
        output_shape=tuple(document["output_shape"]),
        is_complex=document["complex"],
        parameters=ParameterCounts(**document["parameters"]),
        macs=document["macs"],
        elementwise=document["elementwise"],
        activation_bytes=document["activation_bytes"],
        origin=tuple(document["origin"]),
        parts=tuple(node_from_json(part) for part in document.get("parts", ())),
    )


def _operation(node_id: str, op: str, attributes: Mapping[str, Any]) -> Operation:
    kind = OPERATIONS.get(op)
    if kind is None:
        raise ValueError(
            f"{node_id}: unknown operation {op!r}; one of {', '.join(sorted(OPERATIONS))}"
        )
    names = kind.attribute_names()
    given = attributes.keys() | kind.optional_attributes()
    for missing in [name for name in names if name not in given]:
        raise ValueError(f"{node_id}: {op} has no attribute {missing!r}")
    for unknown in [name for name in attributes if name not in names]:
        raise ValueError(f"{node_id}: {op} knows no attribute {unknown!r}")
    check_form(attributes, kind, f"{node_id}.attributes")
    try:
        return kind(**{key: _frozen(value) for key, value in attributes.items()})
    except ValueError as error:
        raise ValueError(f"{node_id}: {error}") from None


def _plain(value: Attribute) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Attribute:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in cast("list[Any]", value))
    return value
