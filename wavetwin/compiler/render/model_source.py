"""Write the classes of model.py from the nodes of a module graph.

A container of the graph (a prefix of ids) becomes a class, a node becomes an attribute of the same
name, so that state-dict names are the graph's. Residual blocks are in `block_source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from wavetwin.compiler.render.block_source import (
    ClassSource,
    StagesSource,
    add_module,
    write_stages,
)
from wavetwin.compiler.render.model_text import (
    BRANCHES,
    VARIABLES,
    WIDTH,
    assign,
    choose_variable,
    class_doc,
    class_title,
    outer_inputs,
    shapes_text,
    wrap_numbers,
)
from wavetwin.compiler.render.own_code_source import own_import_lines, own_names
from wavetwin.compiler.render.weights_source import single_draws
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import SECTIONS, ModuleGraph
from wavetwin.ir.image_sizes import ImageSizes, find_image_sizes
from wavetwin.ir.node import Node
from wavetwin.ir.operations import (
    KAIMING,
    NORMAL,
    Add,
    Call,
    Concat,
    Conv2d,
    Crop,
    KeepPackets,
    Linear,
    PacketBank,
    PacketMixing,
    Packets,
    RealPart,
    Source,
)
from wavetwin.ir.plan import TrainingPlan


@frozen
class ModelSource:
    """What the template lays out."""

    classes: tuple[ClassSource, ...]
    constants: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and lines of long tuples of numbers."""
    layers: tuple[str, ...]
    """Names to import from wavetwin.runtime.layers, sorted."""
    input_shape: tuple[int, ...]
    sizes: ImageSizes
    """Of the images that the network has an output for."""
    num_classes: int
    takes_num_classes: bool
    """Whether a linear layer follows the number of classes."""
    kaiming: str | None
    """Whose convolutions are drawn anew: `self`, `self.trunk`, or None."""
    kaiming_biases: bool = False
    """Whether these convolutions have biases."""
    draws_linear: bool = False
    """Whether linear layers are drawn anew, too."""
    sections: tuple[tuple[str, str], ...] = ()
    """Names and classes of the parts."""
    draws: tuple[str, ...] = ()
    """Lines that draw the weights of single layers anew."""
    own_imports: tuple[str, ...] = ()
    """Lines that import the project's own classes."""


@dataclass(slots=True)
class _Item:
    """A node, or a container of nodes, as its parent class sees it."""

    name: str
    nodes: list[Node]
    inputs: tuple[str, ...]
    is_container: bool
    stage: Sequence[str] | None = None  # lines that make a container of blocks of one class

    @property
    def output(self) -> Node:
        return self.nodes[-1]


@dataclass(slots=True)
class _Writer:
    graph: ModuleGraph
    lambdas: Mapping[str, tuple[float, ...]]
    classifier: Node | None  # the linear layer that has a score for each class
    classes: list[ClassSource] = field(default_factory=list[ClassSource])
    constants: list[tuple[str, tuple[str, ...]]] = field(
        default_factory=list[tuple[str, tuple[str, ...]]]
    )
    layers: set[str] = field(default_factory=set[str])
    own_names: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """What own classes are called, by file and name."""

    def write_class(self, prefix: str, freeze: bool = True) -> str:
        """Add the class of a container, its parts' classes first; return its name."""
        nodes = [node for node in self.graph if node.id.startswith(f"{prefix}.")]
        name, title = class_title(prefix, self.graph.has_stem)
        sources = self._in_order(outer_inputs(nodes))
        results = self._results(nodes)
        takes_classes = prefix == "trunk" and self.classifier is not None
        owners = _owners(nodes)
        all_frozen = bool(owners) and all(_is_frozen(owner) for owner in owners)
        init: list[str] = []
        stages = write_stages(prefix, nodes, self.graph)
        if stages is not None:
            self.classes.append(stages.block)
            self.layers.update(stages.block.layers)
        items = self._items(prefix, nodes, stages)
        init += self._init(prefix, items, freeze and not all_frozen)
        argument = "image" if sources == [self.graph.input] else "x"
        forward = self._forward(items, argument, results)
        if freeze and all_frozen:
            init.append("self.requires_grad_(False)")
        source = ClassSource(
            name=name,
            doc=class_doc(title, f"{shapes_text(sources)} to {shapes_text(results)}."),
            parameters=("num_classes: int",) if takes_classes else (),
            init=tuple(init),
            argument=argument,
            forward=tuple(forward),
            takes=self._type(sources),
            returns=self._type(results),
        )
        self.classes.append(source)
        return name

    def _in_order(self, ids: Sequence[str]) -> list[Node]:
        return [node for node in self.graph if node.id in ids]

    def _results(self, nodes: Sequence[Node]) -> list[Node]:
        """Return what nodes outside read of these nodes; the last one if they read nothing."""
        inside = {node.id for node in nodes}
        read = [
            node
            for node in nodes
            if any(user.id not in inside for user in self.graph.users[node.id])
            and not self._is_early_real(node)
        ]
        return read or [nodes[-1]]

    def _type(self, nodes: Sequence[Node]) -> str:
        """Return the annotation of these values: a pair where there are two."""
        types = ["tuple[Tensor, Tensor]" if self._is_complex(node) else "Tensor" for node in nodes]
        return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"

    def _is_complex(self, node: Node) -> bool:
        """Return whether a value is complex where it is written, its real part not taken at once."""
        users = self.graph.users[node.id]
        return node.is_complex and not (users and all(map(self._is_early_real, users)))

    def _items(
        self, prefix: str, nodes: Sequence[Node], stages: StagesSource | None
    ) -> list[_Item]:
        items: list[_Item] = []
        for node in nodes:
            child, _, rest = node.id.removeprefix(f"{prefix}.").partition(".")
            if rest and items and items[-1].name == child:
                items[-1].nodes.append(node)
            elif self._is_early_real(node):
                continue
            else:
                items.append(_Item(child, [node], self._sources(node), bool(rest)))
        for item in items:
            if item.is_container:
                item.inputs = tuple(self._skip(source) for source in outer_inputs(item.nodes))
                item.stage = stages.lines.get(item.name) if stages is not None else None
        return items

    def _is_early_real(self, node: Node) -> bool:
        """Return whether a real part is taken by the packets' module itself, which then skips the rest."""
        if not isinstance(node.operation, RealPart) or node.section != "stem":
            return False
        source = self.graph.by_id[node.inputs[0]]
        return isinstance(source.operation, Packets) and len(self.graph.users[source.id]) == 1

    def _skip(self, source: str) -> str:
        """Return what computes the value `source`, past what is written as a part of it."""
        node = self.graph.by_id[source]
        if self._is_early_real(node) or self._is_joined_crop(node):
            return node.inputs[0]
        return source

    def _is_joined_crop(self, node: Node) -> bool:
        """Return whether a crop about the centre belongs to the concatenation after it."""
        users = self.graph.users[node.id]
        return isinstance(node.operation, Crop) and len(users) == 1 and self._crops_itself(users[0])

    def _crops_itself(self, node: Node) -> bool:
        """Return whether a concatenation joins inputs that are cropped to the smallest of them."""
        if not isinstance(node.operation, Concat):
            return False
        crops = [self.graph.by_id[source] for source in node.inputs]
        cropped = {crop.inputs[0] for crop in crops}
        return all(
            isinstance(crop.operation, Crop) and set(crop.inputs) == cropped for crop in crops
        )

    def _sources(self, node: Node) -> tuple[str, ...]:
        return tuple(self._skip(source) for source in node.inputs)

    def _init(self, prefix: str, items: Sequence[_Item], freeze: bool) -> list[str]:
        lines: list[str] = []
        frozen: list[str] = []
        for item in items:
            if item.stage is not None:
                lines += item.stage
                continue
            path = f"{prefix}.{item.name}"
            if item.is_container and (numbers := self._numbered_parts(path, item.nodes)):
                parts = [self.write_class(f"{path}.{number}", freeze) for number in numbers]
                calls = [Source(f"{part}()") for part in parts]
                lines += assign(f"self.{item.name}", Call.of("nn.Sequential", *calls))
                continue
            if item.is_container and self._is_chain(path, item.nodes):
                calls = {
                    node.id.removeprefix(f"{prefix}."): self._call(node) for node in item.nodes
                }
                lines.append(f"self.{item.name} = nn.Sequential()")
                lines += [line for name in calls for line in add_module(name, calls[name])]
                frozen += self._frozen(prefix, item.nodes) if freeze else []
                continue
            if item.is_container:
                lines.append(f"self.{item.name} = {self.write_class(path, freeze)}()")
                continue
            node = item.output
            if self._is_joined_crop(node) or isinstance(node.operation, Add):
                continue
            lines += assign(f"self.{item.name}", self._call(node))
            frozen += self._frozen(prefix, [node]) if freeze else []
        return lines + frozen

    def _frozen(self, prefix: str, nodes: Sequence[Node]) -> list[str]:
        """Return the lines that hold parameters of a class's nodes fixed."""
        return [
            f"self.{owner.id.removeprefix(f'{prefix}.')}.requires_grad_(False)"
            for owner in _owners(nodes)
            if _is_frozen(owner)
        ]

    def _is_chain(self, path: str, nodes: Sequence[Node]) -> bool:
        """Return whether a listed layer and its followers are modules that are called one by one."""
        return (
            nodes[0].section == "trunk"
            and all("." not in node.id.removeprefix(f"{path}.") for node in nodes)
            and all(len(node.inputs) == 1 for node in nodes)
            and all(
                after.inputs == (before.id,) and self.graph.users[before.id] == (after,)
                for before, after in pairwise(nodes)
            )
        )

    def _numbered_parts(self, path: str, nodes: Sequence[Node]) -> list[str]:
        """Return the parts of a container that are no attributes but items of a sequence."""
        names = [node.id.removeprefix(f"{path}.").partition(".")[0] for node in nodes]
        return [name for name in dict.fromkeys(names) if not name.isidentifier()]

    def _call(self, node: Node) -> Call:
        operation = node.operation
        names: dict[str, object] = {}
        if node is self.classifier:
            names["features"] = Source("num_classes")
        if isinstance(operation, KeepPackets | PacketBank):
            self.constants.append(("KEPT_PACKETS", wrap_numbers(operation.packets)))
            names["packets"] = Source("KEPT_PACKETS")
        for owner in node.owners:
            if isinstance(owner.operation, PacketMixing) and owner.id in self.lambdas:
                names["lambdas"] = self.lambdas[owner.id]
        if self._crops_itself(node):
            call = Call.of("CenterCropConcat")
        else:
            call = self.graph.layer(node, names)
        if call.layer is not None:
            self.layers.add(call.layer)
        if call.file is not None:
            call = replace(call, name=self.own_names.get((call.file, call.name), call.name))
        return call

    def _forward(self, items: Sequence[_Item], argument: str, results: Sequence[Node]) -> list[str]:
        """Return the lines of `forward`: one a layer, norms and activations around the layer."""
        items = [item for item in items if not self._is_joined_crop(item.output)]
        made = {item.output.id for item in items}
        outer = [source for item in items for source in item.inputs if source not in made]
        names = dict.fromkeys(outer, argument)
        first: list[str] = []
        if len(names) > 1:
            sources = self._in_order(outer)
            names = {node.id: name for node, name in zip(sources, BRANCHES, strict=True)}
            first = [f"{', '.join(BRANCHES)} = {argument}"]
        lines: list[tuple[str, str, _Item]] = []
        for index, item in enumerate(items):
            sources = [names[source] for source in item.inputs]
            later = {source for other in items[index + 1 :] for source in other.inputs}
            expression = f"self.{item.name}({', '.join(sources)})"
            if isinstance(item.output.operation, Add) and not item.is_container:
                expression = " + ".join(sources)
            target = choose_variable(item.name, sources[0], item.inputs[0] not in later)
            live = {names[source] for source in later if source in names}
            if target in live:
                target = next(name for name in VARIABLES if name not in live)
            previous = lines[-1] if lines else None
            if (
                not item.is_container
                and item.output.operation.is_written_around
                and previous is not None
                and previous[0] == target
                and previous[2].output.id == item.inputs[0]
                and len(previous[1]) < 60
            ):
                expression = f"self.{item.name}({previous[1]})"
                lines.pop()
            names[item.output.id] = target
            lines.append((target, expression, item))
        written = [
            self._with_shape(f"{target} = {expression}", item.output)
            if item.stage is None
            else f"{target} = {expression}"
            for target, expression, item in lines
        ]
        if len(results) == 1:
            return [*first, *written[:-1], f"return {lines[-1][1]}"]
        return [*first, *written, f"return {', '.join(names[node.id] for node in results)}"]

    def _with_shape(self, line: str, node: Node) -> str:
        note = f"{line}  # {node.output_shape}{', complex' if self._is_complex(node) else ''}"
        return note if len(note) + 8 <= WIDTH else line


def write_model(graph: ModuleGraph, plan: TrainingPlan) -> ModelSource:
    """Return the classes of model.py for a graph, as written or after its passes."""
    penalty = plan.regularisation
    lambdas = {} if penalty is None else {penalty.node: penalty.lambdas}
    writer, parts = _write_classes(graph, lambdas, {})
    own = own_names(graph, {each.name for each in writer.classes} | writer.layers)
    if own:
        writer, parts = _write_classes(graph, lambdas, own)
    convolutions = [found.operation for found in graph.all_of(Conv2d)]
    draws = single_draws(graph)
    drawn = {node.section for node in graph if node.operation.initial_law == KAIMING}
    drawn -= {"trunk"} if draws else set()
    return ModelSource(
        classes=tuple(writer.classes),
        constants=tuple(writer.constants),
        layers=tuple(sorted({*writer.layers, "check_images"})),
        input_shape=graph.input.output_shape,
        sizes=find_image_sizes(graph),
        num_classes=plan.data.num_classes,
        takes_num_classes=graph.classifier is not None,
        kaiming=("self.stem" if draws else "self")
        if "stem" in drawn
        else "self.trunk"
        if drawn
        else None,
        kaiming_biases=any(
            operation.bias for operation in convolutions if operation.initial == KAIMING
        ),
        sections=parts,
        draws=draws,
        own_imports=own_import_lines(own),
        draws_linear=any(found.operation.initial == NORMAL for found in graph.all_of(Linear)),
    )


def _write_classes(
    graph: ModuleGraph,
    lambdas: Mapping[str, tuple[float, ...]],
    own: Mapping[tuple[str, str], str],
) -> tuple[_Writer, tuple[tuple[str, str], ...]]:
    """Return the classes of a graph, and the names and classes of its parts."""
    writer = _Writer(graph, lambdas, graph.classifier, own_names=own)
    sections = filter(graph.section, SECTIONS[1:])
    return writer, tuple((section, writer.write_class(section)) for section in sections)


def _owners(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes by whose ids the parameters are named."""
    return [owner for node in nodes for owner in node.owners if owner.parameters.total]


def _is_frozen(node: Node) -> bool:
    return node.operation.is_frozen
