"""Build a `torch.nn.Module` from the module graph.

Sections and containers of the graph become modules of their own (`wavetwin.runtime.network.containers`), whose
calls `print(model.stem.code)` shows: one module a node, at the node's id.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.image_sizes import ImageSizes, find_image_sizes
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Call, UserModule
from wavetwin.ir.plan import TrainingPlan, stream_seed
from wavetwin.runtime import layers
from wavetwin.runtime.layers import PacketMixing
from wavetwin.runtime.network.containers import Container, Step
from wavetwin.runtime.network.features import FeatureMethods
from wavetwin.runtime.network.initial import initialise_module
from wavetwin.runtime.network.own_modules import construct, make_anew

__all__ = ["GraphError", "Network", "build_module", "initialise"]

SECTIONS = ("stem", "pool", "trunk")


class GraphError(ValueError):
    """The graph cannot be built: an unknown operation, attribute value, or wiring."""


class Network(FeatureMethods):
    """A network in three sections: `trunk(pool(stem(x)))`.

    `stem` is the first layer, `pool` norm, activation and pooling up to the next convolution, `trunk`
    the rest; of a network whose layers begin with the image the trunk alone is there. Images (batch, channels, height, width) to logits (batch, classes). After the passes the
    stem may give a pair, free and wavelet channels, which the pooling takes; complex channels are
    then a pair of real and imaginary part.
    """

    stem: nn.Module
    pool: nn.Module
    trunk: nn.Module

    def __init__(
        self,
        sections: Mapping[str, nn.Module],
        input_shape: tuple[int, int, int],
        sizes: ImageSizes,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.sizes = sizes
        for name, section in sections.items():
            self.add_module(name, section)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Raises:
            ValueError, TypeError: the input is not what the network takes (`check_images`).
        """
        layers.check_images(x, self.input_shape, self.sizes.smallest, self.sizes.largest)
        for section in self.children():
            x = section(x)
        return x


def build_module(
    graph: ModuleGraph,
    num_classes: int | None = None,
    generator: torch.Generator | None = None,
    plan: TrainingPlan | None = None,
) -> Network:
    """Build the network that a graph describes, on the default device, in the default type.

    Names in the state dict are the graph's: `<node id>.<parameter>`. Weights are drawn by the laws of
    `wavetwin.ir.initial_laws`, from `generator` in the graph's order; `initialise` draws them reproducibly
    instead. On the meta device nothing is drawn; `to_empty` and `initialise` then make the network.

    Args:
        graph: as written or optimised.
        num_classes: replaces the features of the last linear layer.
        generator: on the device of the weights; torch's default one if None.
        plan: gives the packet mixing its lambdas (`wavetwin.runtime.training.losses.regularisation`).

    Raises:
        GraphError: the graph holds an operation, an attribute or an edge that cannot be built, or a
            module of a project whose contents it does not have.
    """
    builder = _Builder(graph, num_classes)
    names = SECTIONS if graph.has_stem else SECTIONS[-1:]
    sections = {name: builder.section(name) for name in names}
    channels, height, width = graph.input.output_shape
    network = Network(
        sections, input_shape=(channels, height, width), sizes=find_image_sizes(graph)
    )
    for node in graph.owners:
        if isinstance(node.operation, UserModule):
            continue  # begins as its constructor makes it
        module = network.get_submodule(node.id)
        initialise_module(module, node, lambda name: generator)
        if node.operation.is_frozen:
            module.requires_grad_(False)
    if plan is not None and plan.regularisation is not None:
        _set_lambdas(network, plan.regularisation.node, plan.regularisation.lambdas)
    return network


def initialise(model: nn.Module, graph: ModuleGraph, seed: int) -> None:
    """Set all parameters and running statistics to their initial values, reproducibly.

    Each parameter draws from a generator of its own, seeded by `seed` and the parameter's name alone:
    a twin and its CNN share the trunk's initial weights, on every device and in every type (draws
    are float32, on the CPU). A module of the project is constructed anew, on the CPU, with torch's,
    NumPy's and Python's generators seeded by its own name: it begins as its constructor makes it.

    Args:
        model: built from `graph`, or from the same graph after its passes.
        graph: names the parameters and how they begin.
        seed: the plan's.

    Raises:
        ValueError: the model has no memory yet (it is on the meta device).
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError("the model is on the meta device: call to_empty(device=...) first")
    for node in graph:
        if isinstance(node.operation, UserModule):
            make_anew(model, node, stream_seed(seed, f"init:{node.id}"))
    for node in graph.owners:
        if isinstance(node.operation, UserModule):
            continue

        def generator(name: str, prefix: str = node.id) -> torch.Generator:
            stream = stream_seed(seed, f"init:{prefix}.{name}")
            return torch.Generator(device="cpu").manual_seed(stream)

        initialise_module(model.get_submodule(node.id), node, generator)


def _set_lambdas(network: Network, node_id: str, lambdas: tuple[float, ...]) -> None:
    mixing = network.get_submodule(node_id)
    if not isinstance(mixing, PacketMixing) or len(mixing) != len(lambdas):
        raise GraphError(f"{node_id} is not a packet mixing of {len(lambdas)} bands")
    mixing.lambdas = lambdas


class _Builder:
    """Makes the sections of one graph."""

    def __init__(self, graph: ModuleGraph, num_classes: int | None) -> None:
        self.graph = graph
        self.nodes = graph.by_id
        for node in graph:
            for source in node.inputs:
                if source not in self.nodes:
                    raise GraphError(f"{node.id} reads {source!r}, which is not in the graph")
        self.features: dict[str, int] = {}
        if num_classes is not None:
            if graph.classifier is None:
                raise GraphError(f"{graph.name}: no linear layer can take {num_classes} classes")
            self.features[graph.classifier.id] = num_classes

    def section(self, name: str) -> nn.Module:
        """Return a section; one without nodes passes its input on."""
        nodes = [node for node in self.graph if node.section == name]
        if not nodes:
            return nn.Identity()
        inside = {node.id for node in nodes}
        outside = list(dict.fromkeys(s for node in nodes for s in node.inputs if s not in inside))
        if len(outside) != 1 and (name != "pool" or len(outside) > 2):
            raise GraphError(
                f"{name} reads {len(outside)} values of other sections: it may read one"
            )
        results = self._results(nodes)
        if name != "stem" and any(self.nodes[result].is_complex for result in results):
            raise GraphError(f"{nodes[-1].id}: a section's output is real")
        outside.sort(key=self._position)
        return self._container(name, nodes, outside, results, is_section=True)

    def _container(
        self,
        prefix: str,
        nodes: Sequence[Node],
        outside: Sequence[str],
        results: Sequence[str],
        is_section: bool = False,
    ) -> nn.Module:
        """Return the module of all nodes below a prefix of ids; a chain of calls as a `Sequential`.

        Args:
            prefix: of the nodes' ids.
            nodes: in order.
            outside: what they read of other nodes: what the module takes.
            results: what other nodes read of them: what it returns.
            is_section: whether it is to be a `Container` in any case.
        """
        values = {source: f"x[{index}]" for index, source in enumerate(outside)}
        if len(outside) == 1:
            values = {outside[0]: "x"}
        children: dict[str, nn.Module] = {}
        steps: list[Step] = []
        for name, inside in self._children(prefix, nodes).items():
            path = f"{prefix}.{name}"
            if len(inside) == 1 and inside[0].id == path:
                takes, gives = inside[0].inputs, [path]
                child = self._make(inside[0])
            else:
                ids = {node.id for node in inside}
                read = dict.fromkeys(s for node in inside for s in node.inputs if s not in ids)
                takes, gives = tuple(read), self._results(inside)
                child = self._container(path, inside, takes, gives)
                if len(takes) > 1:
                    raise GraphError(f"{path} reads {len(takes)} values: a container may read one")
            late = [source for source in takes if source not in values]
            if late:
                raise GraphError(f"{path} reads {late[0]}, which is computed after it")
            children[name] = child
            steps.append(Step(name, tuple(values[source] for source in takes)))
            if len(gives) == 1:
                values[gives[0]] = name
            else:
                values |= {given: f"{name}[{index}]" for index, given in enumerate(gives)}
        returns = [values[result] for result in results]
        chain = ["x", *children]
        is_chain = returns == chain[-1:] and all(
            step.takes == (before,) for step, before in zip(steps, chain, strict=False)
        )
        if is_chain and not is_section:
            return nn.Sequential(OrderedDict(children))
        return Container(children, steps, returns)

    def _children(self, prefix: str, nodes: Sequence[Node]) -> dict[str, list[Node]]:
        """Return the nodes of each child, by its name, in the order in which children compute."""
        by_child: dict[str, list[Node]] = {}
        for node in nodes:
            child = node.id.removeprefix(f"{prefix}.").partition(".")[0]
            by_child.setdefault(child, []).append(node)
        # A child computes when its last node does: what it reads lies before that.
        position = {node.id: index for index, node in enumerate(nodes)}
        return dict(sorted(by_child.items(), key=lambda item: position[item[1][-1].id]))

    def _results(self, nodes: Sequence[Node]) -> list[str]:
        """Return what others read of these nodes, in order; the last if they read nothing."""
        inside = {node.id for node in nodes}
        read = [
            node.id
            for node in nodes
            if any(user.id not in inside for user in self.graph.users[node.id])
        ]
        return read or [nodes[-1].id]

    def _position(self, node_id: str) -> int:
        return self.graph.nodes.index(self.nodes[node_id])

    def _make(self, node: Node) -> nn.Module:
        """Return a node's module."""
        features = self.features.get(node.id)
        return make_layer(
            self.graph.layer(node, {} if features is None else {"features": features})
        )


def make_layer(call: Call) -> nn.Module:
    """Return the module that a call of model.py constructs."""
    arguments = cast("Sequence[Any]", call.args)
    options = cast("Mapping[str, Any]", call.kwargs)
    if call.file is not None:
        if call.sources is None:
            raise GraphError(f"{call.name} of {call.file}: its contents are not known here")
        return construct(call.sources, call.file, call.name, options)
    if call.torch_name is None:
        return getattr(layers, call.name)(*arguments, **options)
    kind = getattr(nn, call.torch_name)
    if issubclass(kind, nn.Conv2d | nn.Linear):
        # Large ones are constructed without drawing weights that are drawn again.
        return nn.utils.skip_init(kind, *arguments, **options, device=torch.get_default_device())
    return kind(*arguments, **options)
