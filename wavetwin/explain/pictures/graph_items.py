"""Choose the boxes that a module graph is drawn with: residual blocks become one each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavetwin.explain.model_tree import Alike, Branch, folded, model_tree
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Add, Packets, ParameterCounts

TRAINED, FIXED, OTHER = "trained weights", "fixed filters", "neither"


@dataclass(frozen=True, slots=True)
class Item:
    """One box."""

    lines: tuple[str, ...]
    """The first one is its name."""
    role: str
    """`TRAINED`, `FIXED` or `OTHER`."""
    inputs: tuple[int, ...] = ()
    """The items that it reads, in order; not those whose height and width alone it reads."""
    is_continued: bool = False
    """Stands for an item of the column before."""


def graph_items(graph: ModuleGraph, *, full: bool = False) -> tuple[Item, ...]:
    """Return a graph's boxes in topological order; with `full` one for every node."""
    parts = list(graph.nodes) if full else list(_parts(model_tree(graph).members))
    owners = {node.id: index for index, part in enumerate(parts) for node in _nodes(part)}
    items: list[Item] = []
    for index, part in enumerate(parts):
        sources = dict.fromkeys(owners[source] for node in _nodes(part) for source in _read(node))
        inputs = tuple(source for source in sources if source != index)
        items.append(Item(_lines(part), _role(_nodes(part)), inputs))
    return tuple(items)


def _parts(members: Sequence[Branch | Node]) -> Iterator[Branch | Node | tuple[Branch, ...]]:
    """Yield nodes and whole residual blocks; blocks that are alike together."""
    position = 0
    for member in folded(members):
        count = len(member.names) if isinstance(member, Alike) else 1
        own = members[position : position + count]
        position += count
        blocks = tuple(each for each in own if isinstance(each, Branch) and _is_block(each))
        if len(blocks) == count:
            yield blocks
            continue
        for each in own:
            if isinstance(each, Branch):
                yield from _parts(each.members)
            else:
                yield each


def _is_block(branch: Branch) -> bool:
    return any(
        isinstance(member, Node) and isinstance(member.operation, Add) for member in branch.members
    )


def _nodes(part: Branch | Node | tuple[Branch, ...]) -> list[Node]:
    if isinstance(part, Node):
        return [part]
    if isinstance(part, Branch):
        return list(part.nodes)
    return [node for branch in part for node in branch.nodes]


def _read(node: Node) -> tuple[str, ...]:
    """Return the inputs whose values a node reads."""
    sized = node.operation.reads_size_of
    return tuple(source for index, source in enumerate(node.inputs) if index != sized)


def _role(nodes: Sequence[Node]) -> str:
    if any(node.parameters.trainable for node in nodes):
        return TRAINED
    return FIXED if any(node.operation.filters_are_fixed for node in nodes) else OTHER


def _lines(part: Branch | Node | tuple[Branch, ...]) -> tuple[str, ...]:
    nodes = _nodes(part)
    last = nodes[-1]
    shape = " x ".join(map(str, last.output_shape)) + (" complex" if last.is_complex else "")
    if isinstance(part, Node):
        name, what = part.id, " ".join([part.op, *_settings(part)])
        if part.operation.reads_size_of is not None and part.inputs[1:]:
            what += f" as {part.inputs[1]}"
    else:
        branches = (part,) if isinstance(part, Branch) else part
        name = branches[0].id
        what = f"residual block of {len(list(branches[0].nodes))} layers"
        if len(branches) > 1:
            name += f" to {branches[-1].name}"
            what = f"{len(branches)} residual blocks of {len(list(branches[0].nodes))} layers"
    counts = sum((node.parameters for node in nodes), ParameterCounts())
    macs = sum(node.macs for node in nodes)
    cost = ", ".join(
        [
            *([f"{counts.total:,} parameters"] if counts.total else []),
            *([f"{macs:,} MACs"] if macs else []),
        ]
    )
    return (name, what, f"to {shape}", *([cost] if cost else []))


def _settings(node: Node) -> list[str]:
    """Return the attributes that set a node apart from its like."""
    texts: list[str] = []
    size = node.attributes.get("kernel_size", node.attributes.get("size"))
    if size is not None:
        texts.append(f"{size} x {size}")
    if isinstance(node.operation, Packets):
        texts.append(f"{node.operation.transform}, {node.operation.levels} levels")
    for name in ("stride", "step", "groups"):
        value = node.attributes.get(name, 1)
        if value != 1:
            texts.append(f"{name} {value}")
    return texts
