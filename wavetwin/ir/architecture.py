"""Describe a backbone that the language knows by name.

A family of backbones is one module of `wavetwin.ir.backbones`: a class derived from `Architecture`, and
a row for each of its members. Everybody else asks the fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.initial_laws import InitialLaw
from wavetwin.ir.layer_kind import LayerItem, LayerKind, LayerOptions, Measure
from wavetwin.ir.operations import Input, MaxPool, Operation
from wavetwin.ir.poolings import POOLINGS, Pooling

__all__ = ["Architecture", "NoForeignNamesError", "TrunkOptions"]


_ANY_SIZE = (224, 224)
"""Of maps that no trunk is too small for."""


@frozen
class TrunkOptions:
    """What a spec says of a trunk."""

    num_classes: int
    reduction: Operation | None
    """What keeps every second position behind a layer of stride 1, or in place of a maximum; None: the
    layer itself has a stride of 2."""
    layers: tuple[LayerItem, ...] = ()
    """Where the spec lists them."""

    initial: InitialLaw | None = None
    """How listed layers begin that do not say it."""
    norm: LayerKind | None = None
    """What follows listed layers that are normalised and have no norm."""
    measure: Measure | None = None
    """Makes operations of modules of the project."""

    @property
    def for_layers(self) -> LayerOptions:
        """What a listed layer is told beside its own fields."""
        return LayerOptions(self.num_classes, self.initial, self.norm, self.measure)

    def add_reduction(
        self, builder: GraphBuilder, node_id: str, source: str, fields: Sequence[str]
    ) -> str:
        """Add what halves the resolution behind a layer, if anything, and return the last node's id."""
        if self.reduction is None:
            return source
        settings = self.reduction.settings
        own = () if settings is None else (settings,)
        return builder.add(node_id, self.reduction, source, fields=(*fields, *own))

    def add_maximum(
        self,
        builder: GraphBuilder,
        ids: tuple[str, str],
        source: str,
        kernel_size: int,
        fields: Sequence[str],
    ) -> str:
        """Add a maximum that halves the resolution, or what takes its place, and return the last id.

        Args:
            builder: of the graph.
            ids: of the maximum, and of what stands behind it.
            source: what it reads.
            kernel_size: the window's side.
            fields: of the spec that it is there for.
        """
        if self.reduction is not None and self.reduction.replaces_maximum:
            return self.add_reduction(builder, ids[0], source, fields)
        stride = 2 if self.reduction is None else 1
        maximum = MaxPool(kernel_size=kernel_size, stride=stride, padding=0)
        current = builder.add(ids[0], maximum, source, fields=fields)
        return self.add_reduction(builder, ids[1], current, fields)


@frozen(kw_only=True)
class Architecture(ABC):
    """What a spec need not say, the trunk, and what others call its weights."""

    family: ClassVar[str]
    """For people, a plural: `ResNets`."""

    name: str
    """In the spec language."""
    first_layer_width: int | None
    """Output channels of the first layer; None where the spec says it."""
    kernel_size: int
    """Of the first convolution."""
    stride: int
    """Of the first convolution, where the first pooling takes over nothing of it."""
    padding: int
    """Of the first convolution with this kernel size."""
    norm: Literal["batch", "none"]
    """What the first pooling begins with."""
    colour_initial: tuple[float, float, float]
    """Initial weights of the colour mixing before the packets (arXiv:2212.00394)."""
    pooling: str = "max"
    """What `pooling.free` is where the spec does not say it."""
    pooling_kernel_size: int = 3
    """Window of the maximum in the first pooling."""
    pooling_padding: int
    """Margin of that maximum; with the smaller window of `pooling.max_kernel` it has none."""
    takes_smaller_window: bool = False
    """Whether the maximum before a blur may have a window of 2 (`pooling.max_kernel`)."""
    splits_stride: bool = False
    """Whether a first pooling that blurs takes over half of the first stride, and blurs before its
    maximum, too."""
    has_bias_before_norm: bool = False
    """Whether the first convolution has a bias although a norm follows it."""
    first_layer_initial: str = "default"
    """How the first convolution begins in a network without wavelet channels."""
    twin_starter: str = ""
    """The starter part that makes a twin of the network, below wavetwin's specs; empty: there is none."""
    lists_layers: bool = False
    """Whether the spec lists the trunk's layers, and says what the first pooling begins with."""

    def free_pooling(self, name: str | None) -> Pooling:
        """Return the free channels' pooling: that of the name, or the architecture's own."""
        return POOLINGS[name or self.pooling]

    def first_stride(self, free: Pooling) -> int:
        """Return the first layer's stride beside this pooling of the free channels.

        Poolings that keep every second position, or more, leave it as it is.
        """
        taken_over = max(1, free.keeps_every(self.splits_stride) // 2)
        return max(1, self.stride // taken_over)

    @abstractmethod
    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add everything after the first pooling, `source`; the last node gives the classes.

        Raises:
            ShapeError: a layer has no output for what it reads.
        """

    def trunk_operations(self, reduction: Operation | None) -> dict[str, Operation]:
        """Return the operations of the trunk by what its layers are called, whatever they read."""
        builder = GraphBuilder(self.name, lambda field: None)
        image = Input(shape=(self.first_layer_width or 1, *_ANY_SIZE))
        self.add_trunk(builder, TrunkOptions(1, reduction), builder.add("input", image))
        return {
            node.id.removeprefix("trunk."): node.operation
            for node in builder.graph().section("trunk")
        }

    def module_names(self, graph: ModuleGraph) -> dict[str, str]:
        """Return what others call the module of every node, with the final dot, by the node's id.

        Raises:
            NoForeignNamesError: nobody else has such a network; the message says why.
        """
        raise NoForeignNamesError(f"{graph.name}: nobody else names the layers of {self.family}")


class NoForeignNamesError(ValueError):
    """No implementation but this one has such a network."""
