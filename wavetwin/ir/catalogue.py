"""The catalogue of operations: ports, output shapes, parameters and costs (docs/graph.md).

A rule is a function of the attributes and the inputs' shapes to `Facts`; `node` applies it. A rule
that finds no output, because the image is too small, raises `ShapeError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from wavetwin.ir.graph import Attribute, Node, ParameterCounts
from wavetwin.ir.packets import num_packets, packet_paths
from wavetwin.ir.wavelets import equivalent_length, filter_length, output_size

FLOAT_BYTES = 4
NO_PARAMETERS = ParameterCounts()
_SHAPELESS = frozenset({"input", "relu", "dropout", "flatten", "linear", "add"})


class ShapeError(Exception):
    """An operation has no output for its input: says which node and why."""

    def __init__(self, node_id: str, reason: str) -> None:
        self.node_id = node_id
        self.reason = reason
        self.layer: int | None = None
        """Index in `backbone.layers`, where the node comes from it."""
        super().__init__(f"{node_id}: {reason}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule finds out about a node."""

    shape: tuple[int, ...]
    is_complex: bool = False
    parameters: ParameterCounts = NO_PARAMETERS
    macs: int = 0
    elementwise: int = 0


@dataclass(frozen=True, slots=True)
class Ports:
    """What an operation takes."""

    count: int | None
    """Number of inputs; None: two or more."""
    takes: str
    """`real`, `complex` or `either`."""
    optional: int = 0
    """Number of inputs that may be there, too."""


Attributes = Mapping[str, Any]
Rule = Callable[[Attributes, Sequence[tuple[int, ...]], bool], Facts]


def make_node(
    node_id: str,
    op: str,
    inputs: Sequence[Node],
    attributes: Mapping[str, Attribute],
    origin: tuple[str, ...] = (),
    parts: tuple[Node, ...] = (),
) -> Node:
    """Return a node with its shape, parameters and costs filled in.

    Parameters are those of its parts, where it has any.

    Raises:
        ShapeError: the operation has no output for these inputs.
    """
    ports, rule = CATALOGUE[op]
    if ports.count is None:
        assert len(inputs) >= 2, f"{node_id}: {op} takes two or more inputs"
    else:
        assert ports.count <= len(inputs) <= ports.count + ports.optional, (
            f"{node_id}: {op} takes {ports.count} inputs"
        )
    # Of several inputs the first is what is worked on; all of a concatenation are of one kind.
    is_complex = inputs[0].is_complex if inputs else False
    if ports.takes != "either":
        wanted = ports.takes == "complex"
        assert all(node.is_complex == wanted for node in inputs), f"{node_id}: takes {ports.takes}"
    if op not in _SHAPELESS and any(len(node.output_shape) != 3 for node in inputs):
        raise ShapeError(node_id, f"{op} works on maps and cannot follow `flatten`")
    try:
        facts = rule(attributes, [node.output_shape for node in inputs], is_complex)
    except _UnfitError as unfit:
        raise ShapeError(node_id, str(unfit)) from None
    return Node(
        id=node_id,
        op=op,
        inputs=tuple(node.id for node in inputs),
        attributes=dict(attributes),
        output_shape=facts.shape,
        is_complex=facts.is_complex,
        parameters=sum((part.parameters for part in parts), facts.parameters),
        macs=facts.macs,
        elementwise=facts.elementwise,
        activation_bytes=prod(facts.shape) * FLOAT_BYTES * (2 if facts.is_complex else 1),
        origin=origin,
        parts=parts,
    )


class _UnfitError(Exception):
    """Why a rule finds no output."""


def _counted(attributes: Attributes, number: int, buffers: int = 0) -> ParameterCounts:
    if attributes.get("frozen", False):
        return ParameterCounts(0, number, buffers)
    return ParameterCounts(number, 0, buffers)


def _window(size: int, kernel: int, stride: int, padding: int) -> int:
    out = (size + 2 * padding - kernel) // stride + 1
    if size + 2 * padding < kernel:
        raise _UnfitError(
            f"a window of {kernel} does not fit into {size} with a margin of {padding}"
        )
    return out


def _windows(attributes: Attributes, shape: tuple[int, ...]) -> tuple[int, int]:
    kernel, stride, padding = (
        attributes["kernel_size"],
        attributes["stride"],
        attributes["padding"],
    )
    return (
        _window(shape[1], kernel, stride, padding),
        _window(shape[2], kernel, stride, padding),
    )


def _input(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    return Facts(tuple(attributes["shape"]))


def _conv2d(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    (shape,) = shapes
    height, width = _windows(attributes, shape)
    channels: int = attributes["channels"]
    groups: int = attributes["groups"]
    if shape[0] % groups or channels % groups:
        raise _UnfitError(f"{groups} groups do not divide {shape[0]} inputs and {channels} outputs")
    weights = channels * (shape[0] // groups) * attributes["kernel_size"] ** 2
    number = weights + (channels if attributes["bias"] else 0)
    return Facts(
        (channels, height, width),
        parameters=_counted(attributes, number),
        macs=weights * height * width,
    )


def _colour_mixing(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((channels, height, width),) = shapes
    return Facts(
        (1, height, width),
        parameters=_counted(attributes, channels),
        macs=channels * height * width,
    )


def _packets(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    ((channels, height, width),) = shapes
    transform, levels, name = (
        attributes["transform"],
        attributes["levels"],
        attributes["filters"],
    )
    length = equivalent_length(transform, levels, name)
    out_height, out_width = (
        output_size(size, transform, levels, name, attributes["stride"]) for size in (height, width)
    )
    if min(out_height, out_width) < 1:
        raise _UnfitError(
            f"filters of {length} taps leave nothing of an image of {height} x {width}"
        )
    trees = 2 if transform == "dtcwpt" else 1
    per_direction = trees * 2**levels
    rows = height * out_width * per_direction * length
    columns = out_height * out_width * per_direction**2 * length
    packets = num_packets(transform, levels)
    signs = packets if transform == "dtcwpt" else 0
    if attributes["trainable_filters"]:
        taps = trees * 2 * filter_length(transform, name)
        parameters = _counted(attributes, taps, signs)
    else:
        parameters = ParameterCounts(buffers=per_direction * length + signs)
    return Facts(
        (channels * packets, out_height, out_width),
        is_complex=transform == "dtcwpt",
        parameters=parameters,
        macs=channels * (rows + columns),
    )


def _grid(attributes: Attributes, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of all the dual-tree packets of an image."""
    bank = ("dtcwpt", attributes["levels"], attributes["filters"], attributes["stride"])
    return output_size(shape[1], *bank), output_size(shape[2], *bank)


def _crop_to_packets(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    shape, image = shapes
    height, width = _grid(attributes, image)
    return Facts((shape[0], min(shape[1], height), min(shape[2], width)))


def _packet_bank(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    """Rows with the filters in use, then columns at the kept positions, then the mixing."""
    image, *like = shapes
    levels, name, step = attributes["levels"], attributes["filters"], attributes["subsample"]
    height, width = like[0][1:] if like else _grid(attributes, image)
    height, width = -(-height // step), -(-width // step)
    length = equivalent_length("dtcwpt", levels, name)
    paths = {packet_paths(levels, number) for number in attributes["packets"]}
    colours: int = attributes["colours"]
    parts = 2 if attributes["complex"] else 1
    # Both trees along the rows; of the four pairs of trees, the real part needs two.
    rows = image[1] * width * 2 * len({horizontal for _, horizontal in paths}) * length
    columns = height * width * 2 * parts * len(paths) * length
    bands: tuple[tuple[int, int, int], ...] = attributes["bands"]
    outputs = sum(out for _, out, _ in bands)
    mixing = sum(out * (into // groups) for into, out, groups in bands) * parts * height * width
    before = image[0] * image[1] * image[2] if attributes["colour"] == "before" else 0
    after = colours * outputs * parts * height * width if attributes["colour"] == "after" else 0
    if attributes["colour"] != "after":
        outputs *= colours
    low = 2 * 2**levels * length + num_packets("dtcwpt", levels)
    return Facts(
        (outputs, height, width),
        is_complex=bool(attributes["complex"]),
        parameters=ParameterCounts(buffers=low),
        macs=before + colours * (rows + columns + mixing) + after,
    )


def _keep(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    ((_, height, width),) = shapes
    kept = len(attributes["packets"]) * attributes["colours"]
    return Facts((kept, height, width), is_complex)


def _packet_mixing(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((_, height, width),) = shapes
    bands: tuple[tuple[int, int, int], ...] = attributes["bands"]
    weights = sum(out * (into // groups) for into, out, groups in bands)
    outputs = sum(out for _, out, _ in bands)
    parts = 2 if is_complex else 1
    return Facts(
        (outputs * attributes["colours"], height, width),
        is_complex,
        _counted(attributes, weights + (outputs if attributes["bias"] else 0)),
        macs=weights * height * width * parts * attributes["colours"],
    )


def _colour_mixing_after(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((channels, height, width),) = shapes
    parts = 2 if is_complex else 1
    return Facts(
        (channels // 3, height, width),
        is_complex,
        _counted(attributes, channels),
        macs=channels * height * width * parts,
    )


def _real_part(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    return Facts(shapes[0])


def _interleave(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((channels, height, width),) = shapes
    return Facts((2 * channels, height, width))


def _deinterleave(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((channels, height, width),) = shapes
    return Facts((channels // 2, height, width), is_complex=True)


def _slice_channels(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((_, height, width),) = shapes
    return Facts((attributes["stop"] - attributes["start"], height, width), is_complex)


def _crop(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    shape, other = shapes
    return Facts((shape[0], min(shape[1], other[1]), min(shape[2], other[2])), is_complex)


def _concat(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    assert len({shape[1:] for shape in shapes}) == 1, "concatenated maps have one size"
    return Facts((sum(shape[0] for shape in shapes), *shapes[0][1:]), is_complex)


def _subsample(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    ((channels, height, width),) = shapes
    step: int = attributes["step"]
    return Facts((channels, -(-height // step), -(-width // step)), is_complex)


def _modulus(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    return Facts(shapes[0], elementwise=4 * prod(shapes[0]))


def _bias(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    channels = attributes["channels"]
    return Facts(shapes[0], parameters=_counted(attributes, channels), elementwise=prod(shapes[0]))


def _norm(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    channels: int = attributes["channels"]
    return Facts(
        shapes[0],
        parameters=_counted(attributes, 2 * channels, 2 * channels),
        elementwise=2 * prod(shapes[0]),
    )


def _relu(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    return Facts(shapes[0], elementwise=prod(shapes[0]))


def _pool(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    (shape,) = shapes
    out = (shape[0], *_windows(attributes, shape))
    return Facts(out, elementwise=prod(out) * attributes["kernel_size"] ** 2)


def _reflected(shape: tuple[int, ...], margin: int) -> None:
    if min(shape[1:]) <= margin:
        raise _UnfitError(
            f"a margin of {margin} cannot be reflected in a map of {shape[1]} x {shape[2]}"
        )


def _blur_pool(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    (shape,) = shapes
    size, stride = attributes["size"], attributes["stride"]
    _reflected(shape, size // 2)
    out = (shape[0], -(-shape[1] // stride), -(-shape[2] // stride))
    return Facts(out, parameters=ParameterCounts(buffers=size), elementwise=prod(out) * size * size)


def _max_blur_pool(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    (shape,) = shapes
    pooled = _pool({**attributes, "stride": 1}, shapes, is_complex)
    blurred = _blur_pool(attributes, [pooled.shape], is_complex)
    return Facts(
        (shape[0], *blurred.shape[1:]),
        parameters=blurred.parameters,
        elementwise=pooled.elementwise + blurred.elementwise,
    )


def _adaptive_blur(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    (shape,) = shapes
    size, stride, groups = attributes["size"], attributes["stride"], attributes["groups"]
    _reflected(shape, size // 2)
    channels, height, width = shape
    maps = groups * size * size
    weights = maps * channels * size * size
    out = (channels, -(-height // stride), -(-width // stride))
    softmax = 5 * maps * height * width
    return Facts(
        out,
        parameters=_counted(attributes, weights + 2 * maps, 2 * maps),
        macs=weights * height * width,
        elementwise=softmax + prod(out) * size * size,
    )


def _adaptive_average_pool(
    attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool
) -> Facts:
    (shape,) = shapes
    size: int = attributes["output_size"]
    return Facts((shape[0], size, size), elementwise=prod(shape))


def _flatten(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    return Facts((prod(shapes[0]),))


def _dropout(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    return Facts(shapes[0], elementwise=prod(shapes[0]))


def _linear(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    (shape,) = shapes
    if len(shape) != 1:
        raise _UnfitError("a linear layer takes vectors: put `flatten` before it")
    features: int = attributes["features"]
    weights = features * shape[0]
    return Facts(
        (features,),
        parameters=_counted(attributes, weights + (features if attributes["bias"] else 0)),
        macs=weights,
    )


def _add(attributes: Attributes, shapes: Sequence[tuple[int, ...]], is_complex: bool) -> Facts:
    assert shapes[0] == shapes[1], "a sum's terms have one shape"
    return Facts(shapes[0], is_complex, elementwise=prod(shapes[0]))


_REAL = Ports(1, "real")
_COMPLEX = Ports(1, "complex")
_EITHER = Ports(1, "either")

CATALOGUE: dict[str, tuple[Ports, Rule]] = {
    "input": (Ports(0, "real"), _input),
    "conv2d": (_REAL, _conv2d),
    "colour_mixing": (_REAL, _colour_mixing),
    "packets": (_REAL, _packets),
    "packet_bank": (Ports(1, "real", optional=1), _packet_bank),
    "keep_packets": (_EITHER, _keep),
    "packet_mixing": (_EITHER, _packet_mixing),
    "colour_mixing_after": (_EITHER, _colour_mixing_after),
    "real_part": (_COMPLEX, _real_part),
    "interleave": (_COMPLEX, _interleave),
    "deinterleave": (_REAL, _deinterleave),
    "slice_channels": (_EITHER, _slice_channels),
    "crop": (Ports(2, "either"), _crop),
    "crop_to_packets": (Ports(2, "real"), _crop_to_packets),
    "concat": (Ports(None, "real"), _concat),
    "subsample": (_EITHER, _subsample),
    "modulus": (_COMPLEX, _modulus),
    "bias": (_REAL, _bias),
    "energy_norm": (_REAL, _norm),
    "batch_norm": (_REAL, _norm),
    "relu": (_REAL, _relu),
    "max_pool": (_REAL, _pool),
    "average_pool": (_REAL, _pool),
    "blur_pool": (_REAL, _blur_pool),
    "max_blur_pool": (_REAL, _max_blur_pool),
    "adaptive_blur": (_REAL, _adaptive_blur),
    "adaptive_average_pool": (_REAL, _adaptive_average_pool),
    "flatten": (_REAL, _flatten),
    "dropout": (_REAL, _dropout),
    "linear": (_REAL, _linear),
    "add": (Ports(2, "real"), _add),
}
"""Every operation, its ports and its rule."""


def complete(node: Node, inputs: Sequence[Node]) -> Node:
    """Return the node with its facts computed anew from its operation, attributes and inputs.

    Raises:
        ShapeError: the operation has no output for these inputs.
    """
    return make_node(node.id, node.op, inputs, node.attributes, node.origin, node.parts)
