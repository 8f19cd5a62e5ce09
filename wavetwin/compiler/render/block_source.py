"""The residual block of model.py: one class for all blocks of a trunk, from the graph's nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wavetwin.compiler.render.model_text import assign
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Add, Call, Conv2d, Source


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class _Block:
    """What the arguments of one block are."""

    inputs: int
    width: int
    outputs: int
    stride: int
    nodes: Mapping[str, Node]
    """By their name in the block."""

    @property
    def has_shortcut(self) -> bool:
        return "downsample.conv" in self.nodes


def is_residual_stage(nodes: Sequence[Node]) -> bool:
    """Whether a trunk's nodes are those of a residual network."""
    return any(node.id == "trunk.layer1.0.conv1" for node in nodes)


def write_block(nodes: Sequence[Node], graph: ModuleGraph) -> ClassSource:
    """Return the class of which all residual blocks of a trunk are instances."""
    blocks = [block for stage in _blocks(nodes, graph).values() for block in stage]
    largest = max(blocks, key=lambda block: len(block.nodes))
    is_bottleneck = "conv3" in largest.nodes
    for block in blocks:
        assert block.has_shortcut == (block.stride != 1 or block.inputs != block.outputs)
        assert not is_bottleneck or block.outputs == 4 * block.width
    blurs = "blur" in largest.nodes
    lines = ["outputs = 4 * width"] if is_bottleneck else []
    lines += _main_lines(largest, graph, is_bottleneck, blurs)
    lines += _shortcut_lines(largest, graph, blurs)
    made = [
        _call(largest, name, graph, {})
        for name, node in largest.nodes.items()
        if not isinstance(node.operation, Add)
    ]
    return ClassSource(
        name="Bottleneck" if is_bottleneck else "BasicBlock",
        doc="A residual block: 1x1, 3x3 and 1x1 convolution around a shortcut."
        if is_bottleneck
        else "A residual block: two 3x3 convolutions around a shortcut.",
        parameters=(
            "inputs: int",
            f"{'width' if is_bottleneck else 'outputs'}: int",
            "stride: int = 1",
        ),
        init=tuple(lines),
        argument="x",
        forward=_forward(is_bottleneck, blurs),
        layers=tuple(sorted({call.layer for call in made if call.layer is not None})),
    )


def _call(block: _Block, name: str, graph: ModuleGraph, names: Mapping[str, str]) -> Call:
    sources = {attribute: Source(text) for attribute, text in names.items()}
    return graph.layer(block.nodes[name], sources)


def _main_lines(block: _Block, graph: ModuleGraph, is_bottleneck: bool, blurs: bool) -> list[str]:
    """Return the lines that make the layers of the path with the convolutions."""
    last, strided = ("3", "conv2") if is_bottleneck else ("2", "conv1")
    lines: list[str] = []
    inputs = "inputs"
    for name, node in block.nodes.items():
        if name.startswith("downsample.") or isinstance(node.operation, Add):
            continue
        narrow = "width" if is_bottleneck else "outputs"
        outputs = "outputs" if name in (f"conv{last}", f"bn{last}") else narrow
        names = {"inputs": inputs, "channels": outputs}
        if name == strided and not blurs:
            names["stride"] = "stride"
        call = _call(block, name, graph, names)
        if name == "blur":
            lines += ["self.blur = nn.Identity()", "if stride != 1:"]
            lines += _indented(assign("self.blur", call, 12))
        else:
            lines += assign(f"self.{name}", call)
        if isinstance(node.operation, Conv2d):
            inputs = outputs
    return lines


def _shortcut_lines(block: _Block, graph: ModuleGraph, blurs: bool) -> list[str]:
    """Return the lines that make the shortcut's layers; without any it is the input itself."""
    lines = ["self.downsample = nn.Sequential()  # no layers: the input itself"]
    names = {"inputs": "inputs", "channels": "outputs"}
    if "downsample.blur" in block.nodes:
        lines += ["if stride != 1:", *_added("blur", _call(block, "downsample.blur", graph, names))]
    if block.has_shortcut:
        lines += ["if stride != 1 or inputs != outputs:"]
        stride = {} if blurs else {"stride": "stride"}
        lines += _added("conv", _call(block, "downsample.conv", graph, names | stride))
        lines += _added("bn", _call(block, "downsample.bn", graph, names))
    return lines


def stage_lines(nodes: Sequence[Node], graph: ModuleGraph, name: str) -> list[str]:
    """Return the lines that make the stages `layer1`, `layer2`, ... of a trunk."""
    lines: list[str] = []
    for stage, blocks in _blocks(nodes, graph).items():
        first, *others = [_arguments(block) for block in blocks]
        calls = [f"{name}({first})", *(f"{name}({other})" for other in others)]
        if len(others) > 3:
            assert len(set(others)) == 1
            calls[1:] = [f"*({calls[1]} for _ in range({len(others)}))"]
        lines += assign(f"self.{stage}", Call.of("nn.Sequential", *map(Source, calls)))
    return lines


def _forward(is_bottleneck: bool, blurs: bool) -> tuple[str, ...]:
    before_last = "self.blur(y)" if blurs else "y"
    lines = ["y = self.relu1(self.bn1(self.conv1(x)))"]
    if is_bottleneck:
        lines += ["y = self.relu2(self.bn2(self.conv2(y)))"]
    number = 3 if is_bottleneck else 2
    lines += [f"y = self.bn{number}(self.conv{number}({before_last}))"]
    return (*lines, "return self.relu(y + self.downsample(x))")


def _blocks(nodes: Sequence[Node], graph: ModuleGraph) -> dict[str, list[_Block]]:
    """Return the blocks by stage."""
    groups: dict[str, dict[str, dict[str, Node]]] = {}
    for node in nodes:
        _, stage, *rest = node.id.split(".", 3)
        if stage.startswith("layer"):
            groups.setdefault(stage, {}).setdefault(rest[0], {})[rest[1]] = node
    return {
        stage: [_block(block, graph) for block in blocks.values()]
        for stage, blocks in groups.items()
    }


def _block(nodes: Mapping[str, Node], graph: ModuleGraph) -> _Block:
    first = nodes["conv1"]
    (source,) = graph.inputs_of(first)
    out = nodes["relu"].output_shape
    convolutions = [o for node in nodes.values() if isinstance(o := node.operation, Conv2d)]
    width = convolutions[0].channels
    strides = [convolution.stride for convolution in convolutions]
    stride = 2 if "blur" in nodes else max(strides)
    return _Block(source.output_shape[0], width, out[0], stride, nodes)


def _arguments(block: _Block) -> str:
    stride = "" if block.stride == 1 else f", stride={block.stride}"
    return f"{block.inputs}, {block.width}{stride}"


def _added(name: str, call: Call) -> list[str]:
    text = f'self.downsample.add_module("{name}", {call})'
    if 12 + len(text) <= 100:
        return _indented([text])
    if 16 + len(f'"{name}", {call}') <= 100:
        return _indented(["self.downsample.add_module(", f'    "{name}", {call}', ")"])
    return _indented(["self.downsample.add_module(", f'    "{name}",', f"    {call},", ")"])


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
