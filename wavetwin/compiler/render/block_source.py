"""Write the repeated block of model.py: one class for a trunk's blocks, from the graph's edges.

A stage is a container of containers, its blocks. What differs between blocks becomes an argument:
channels in and out, and the stride. A layer that some blocks lack is made where the arguments ask
for it; a line of `forward` is an edge of the block that has them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from functools import cache
from itertools import groupby, pairwise

from wavetwin.compiler.render.model_text import VARIABLES, assign
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Add, Call, Conv2d, Source

_STRIDED = "stride != 1"
_CHANGED = "stride != 1 or inputs != outputs"
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


@frozen
class ClassSource:
    """One class of model.py; lines are those of the methods' bodies, unindented."""

    name: str
    doc: str
    parameters: tuple[str, ...]
    init: tuple[str, ...]
    argument: str
    forward: tuple[str, ...]
    layers: tuple[str, ...] = field(default=())
    """Names that it needs from wavetwin.runtime.layers."""
    takes: str = "Tensor"
    """Type of the argument."""
    returns: str = "Tensor"


@frozen
class StagesSource:
    """The stages of a trunk: the class of their blocks, and the lines that make each stage."""

    block: ClassSource
    lines: Mapping[str, Sequence[str]]
    """By the stage's name."""


@frozen
class _Block:
    """One block, and the arguments that it is made with."""

    nodes: Mapping[str, Node]
    """By their names in the block."""
    source: str
    """The id of what it reads."""
    inputs: int
    """Channels of that."""
    width: int
    """Channels of its first layer."""
    outputs: int
    stride: int

    @property
    def needs(self) -> Mapping[str | None, bool]:
        """Whether it has the layers that are made under a condition."""
        strided = self.stride != 1
        return {None: True, _STRIDED: strided, _CHANGED: strided or self.inputs != self.outputs}


def write_stages(prefix: str, nodes: Sequence[Node], graph: ModuleGraph) -> StagesSource | None:
    """Return the stages among a container's nodes; None where one class cannot write their blocks.

    Args:
        prefix: of the container's ids.
        nodes: below it, in order.
        graph: that they are of.
    """
    stages = {
        stage: [_block(block, graph) for block in blocks.values()]
        for stage, blocks in _containers(prefix, nodes).items()
    }
    blocks = [block for stage in stages.values() for block in stage]
    writer = _Writer(graph, blocks) if blocks else None
    if writer is None or not writer.fits():
        return None
    block = writer.write()
    lines = {stage: _stage_lines(stage, found, writer) for stage, found in stages.items()}
    return StagesSource(block, lines)


def _containers(prefix: str, nodes: Sequence[Node]) -> dict[str, dict[str, dict[str, Node]]]:
    """Return the nodes of each block of each stage: a container of numbered containers alone."""
    found: dict[str, dict[str, dict[str, Node]]] = {}
    others: set[str] = set()
    for node in nodes:
        stage, *inside = node.id.removeprefix(f"{prefix}.").split(".", 2)
        if len(inside) < 2 or inside[0].isidentifier():
            others.add(stage)
        else:
            found.setdefault(stage, {}).setdefault(inside[0], {})[inside[1]] = node
    return {stage: blocks for stage, blocks in found.items() if stage not in others}


def _block(nodes: Mapping[str, Node], graph: ModuleGraph) -> _Block:
    first, *_, last = nodes.values()
    source = graph.inputs_of(first)[0]
    steps = {source.id: 1}
    for node in nodes.values():
        steps[node.id] = steps[node.inputs[0]] * node.operation.subsampling
    return _Block(
        nodes,
        source.id,
        source.output_shape[0],
        first.output_shape[0],
        last.output_shape[0],
        steps[last.id],
    )


class _Writer:
    """Writes the class of some blocks, after the block that has most layers."""

    def __init__(self, graph: ModuleGraph, blocks: Sequence[_Block]) -> None:
        self.graph = graph
        self.blocks = blocks
        self.largest = max(blocks, key=lambda block: len(block.nodes))
        self.ratios = {block.outputs / block.width for block in blocks}
        self.is_narrow = self.ratios != {1.0}
        self.arguments = ("width", "outputs", "inputs", "stride")[not self.is_narrow :]
        self.conditions = {name: self._condition(name) for name in self.largest.nodes}
        self.is_residual = any(isinstance(n.operation, Add) for n in self.largest.nodes.values())
        self.name = "Block" if not self.is_residual else "BasicBlock"
        if self.is_residual and self.is_narrow:
            self.name = "Bottleneck"
        self._arguments = cache(self._find_arguments)

    def fits(self) -> bool:
        """Return whether every block is what the class makes of its arguments."""
        for block in self.blocks:
            expected = [name for name in self.largest.nodes if self._is_in(name, block)]
            if list(block.nodes) != expected or len({*self.ratios}) != 1:
                return False
            if any(
                self._written(node, name, block) != node.operation
                or [*self._sources(name, block)] != [*node.inputs]
                for name, node in block.nodes.items()
            ):
                return False
        return all(map(self._is_chain, self._nested()))

    def write(self) -> ClassSource:
        """Return the class."""
        narrow = [f"outputs = {int(*self.ratios)} * width"] if self.is_narrow else []
        calls = {
            name: self._call(name)
            for name, node in self.largest.nodes.items()
            if not isinstance(node.operation, Add)
        }
        own = {name: call for name, call in calls.items() if "." not in name}
        return ClassSource(
            name=self.name,
            doc=self._doc(),
            parameters=("inputs: int", f"{self.arguments[0]}: int", "stride: int = 1"),
            init=(*narrow, *self._own_lines(own), *self._nested_lines(calls)),
            argument=VARIABLES[0],
            forward=tuple(self._forward()),
            layers=tuple(sorted({call.layer for call in calls.values() if call.layer})),
        )

    def _doc(self) -> str:
        sizes = [
            f"{operation.kernel_size}x{operation.kernel_size}"
            for name, node in self.largest.nodes.items()
            if isinstance(operation := node.operation, Conv2d) and "." not in name
        ]
        if len(set(sizes)) == 1:
            text = f"{_NUMBERS[len(sizes)]} {sizes[0]} convolution{'s' * (len(sizes) > 1)}"
        else:
            text = f"{', '.join(sizes[:-1])} and {sizes[-1]} convolution"
        return (
            f"A residual block: {text} around a shortcut."
            if self.is_residual
            else f"A block: {text}."
        )

    # What a block has, and what its layers are

    def _condition(self, name: str) -> str | None:
        """Return when a layer is made: one that some blocks lack bridges a step or channels."""
        having = [block for block in self.blocks if name in block.nodes]
        if len(having) == len(self.blocks):
            return None
        for block in having:
            if block.nodes[name].output_shape[0] != self._start(name, block).output_shape[0]:
                return _CHANGED
        return _STRIDED

    def _start(self, name: str, block: _Block) -> Node:
        """Return what a layer, or the container that it is in, reads."""
        names = [other for other in block.nodes if _owner(other) == _owner(name)]
        return self.graph.inputs_of(block.nodes[names[0] if "." in name else name])[0]

    def _is_in(self, name: str, block: _Block) -> bool:
        return block.needs[self.conditions[name]]

    def _sources(self, name: str, block: _Block) -> Sequence[str]:
        """Return what a layer reads in a block: as in the largest, past the layers that it lacks."""
        return [self._source(each, block) for each in self.largest.nodes[name].inputs]

    def _source(self, node_id: str, block: _Block) -> str:
        if node_id == self.largest.source:
            return block.source
        name = next(name for name, node in self.largest.nodes.items() if node.id == node_id)
        if self._is_in(name, block):
            return block.nodes[name].id if name in block.nodes else ""
        return self._source(self.largest.nodes[name].inputs[0], block)

    def _find_arguments(self, name: str) -> dict[str, str]:
        """Return the attributes of a layer, and `inputs`, that are arguments of its block."""
        operation = self.largest.nodes[name].operation
        having = [block for block in self.blocks if name in block.nodes]
        found: dict[str, str] = {}
        for attribute in ("inputs", *(each.name for each in fields(operation))):
            values = [self._value(name, attribute, block) for block in having]
            for argument in self.arguments:
                # An argument of which the condition leaves one value is written as that value.
                admitted = {
                    getattr(block, argument)
                    for block in self.blocks
                    if self.conditions[name] != _STRIDED or block.stride != 1
                }
                if len(admitted) > 1 and values == [getattr(each, argument) for each in having]:
                    found[attribute] = argument
                    break
        return found

    def _value(self, name: str, attribute: str, block: _Block) -> object:
        node = block.nodes[name]
        if attribute == "inputs":
            return self.graph.inputs_of(node)[0].output_shape[0]
        value = getattr(node.operation, attribute, None)  # none of another kind, in a layer's place
        return None if isinstance(value, bool) else value

    def _written(self, node: Node, name: str, block: _Block) -> object:
        """Return the operation that the class makes in a block."""
        values = {
            attribute: getattr(block, argument)
            for attribute, argument in self._arguments(name).items()
            if attribute != "inputs"
        }
        model = self.largest.nodes[name].operation
        return model.written(**values) if type(model) is type(node.operation) else model

    def _call(self, name: str) -> Call:
        names = {attribute: Source(text) for attribute, text in self._arguments(name).items()}
        return self.graph.layer(self.largest.nodes[name], names)

    # Lines

    def _own_lines(self, calls: Mapping[str, Call]) -> list[str]:
        """Return the lines that make the block's own layers."""
        lines: list[str] = []
        for name, call in calls.items():
            condition = self.conditions[name]
            if condition is None:
                lines += assign(f"self.{name}", call)
            else:
                lines += [f"self.{name} = nn.Identity()", f"if {condition}:"]
                lines += _indented(assign(f"self.{name}", call, 12))
        return lines

    def _nested(self) -> list[str]:
        """Return the names of the containers in a block."""
        return list(dict.fromkeys(_owner(name) for name in self.largest.nodes if "." in name))

    def _is_chain(self, container: str) -> bool:
        """Return whether each layer of a container reads the one before it, and the last alone is read."""
        nodes = [node for name, node in self.largest.nodes.items() if _owner(name) == container]
        return all(
            after.inputs == (before.id,) and self.graph.users[before.id] == (after,)
            for before, after in pairwise(nodes)
        )

    def _nested_lines(self, calls: Mapping[str, Call]) -> list[str]:
        """Return the lines that make the containers; one without any layer is the input itself."""
        lines: list[str] = []
        for container in self._nested():
            inside = [name for name in calls if _owner(name) == container]
            groups = [
                (key, [*names]) for key, names in groupby(inside, self.conditions.__getitem__)
            ]
            note = "  # no layers: the input itself" * all(key is not None for key, _ in groups)
            lines.append(f"self.{container} = nn.Sequential(){note}")
            for condition, names in groups:
                added = [
                    line for name in names for line in add_module(name, calls[name], condition)
                ]
                lines += added if condition is None else [f"if {condition}:", *added]
        return lines

    def _forward(self) -> list[str]:
        """Return a line for each layer, with what is written around it and what may be absent."""
        items: dict[str, Node] = {}
        for name, node in self.largest.nodes.items():
            items[_owner(name)] = node
        inputs = {item: self._item_inputs(item, node) for item, node in items.items()}
        texts = {self.largest.source: VARIABLES[0]}
        used = {self.largest.source: VARIABLES[0]}
        lines: list[str] = []
        waiting = list(items)
        for item, node in items.items():
            waiting.remove(item)
            sources = [texts[source] for source in inputs[item]]
            text = f"self.{item}({sources[0]})"
            if isinstance(node.operation, Add):
                text = " + ".join(sources)
            if not waiting:
                return [*lines, f"return {text}"]
            readers = self.graph.users[node.id]
            is_optional = self.conditions.get(item, _STRIDED) is not None
            is_part = is_optional or isinstance(node.operation, Add)
            if len(readers) == 1 and (is_part or readers[0].operation.is_written_around):
                texts[node.id] = text
                used[node.id] = used[inputs[item][0]]
                continue
            later = {
                used[source] for other in waiting for source in inputs[other] if source in used
            }
            own = used[inputs[item][0]]
            free = (name for name in VARIABLES if name not in later)
            variable = own if own not in later else next(free)
            lines.append(f"{variable} = {text}")
            texts[node.id] = used[node.id] = variable
        raise AssertionError("a block has a last layer")

    def _item_inputs(self, item: str, node: Node) -> tuple[str, ...]:
        if item in self.largest.nodes:
            return node.inputs
        first = next(node for name, node in self.largest.nodes.items() if _owner(name) == item)
        return first.inputs


def _owner(name: str) -> str:
    """Return the name of a layer of a block itself, or of the container that it is in."""
    return name.partition(".")[0]


def _stage_lines(stage: str, blocks: Sequence[_Block], writer: _Writer) -> list[str]:
    """Return the lines that make a stage."""
    first, *others = [
        f"{block.inputs}, {block.width}" + f", stride={block.stride}" * (block.stride != 1)
        for block in blocks
    ]
    calls = [f"{writer.name}({first})", *(f"{writer.name}({other})" for other in others)]
    if len(others) > 3 and len(set(others)) == 1:
        calls[1:] = [f"*({calls[1]} for _ in range({len(others)}))"]
    return assign(f"self.{stage}", Call.of("nn.Sequential", *map(Source, calls)))


def add_module(path: str, call: Call, condition: str | None = None) -> list[str]:
    """Return the lines that add a layer, `container.name`, to a sequence."""
    container, _, name = path.partition(".")
    start, depth = f"self.{container}.add_module(", 4 * (condition is not None)
    text = f'"{name}", {call}'
    if 8 + depth + len(f"{start}{text})") <= 100:
        lines = [f"{start}{text})"]
    elif 12 + depth + len(text) <= 100:
        lines = [start, f"    {text}", ")"]
    else:
        lines = [start, f'    "{name}",', f"    {call},", ")"]
    return _indented(lines) if depth else lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
