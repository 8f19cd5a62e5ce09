"""Define what a kind of layer is that a spec lists in `backbone.layers`.

A kind is one class of `wavetwin.ir.layer_kinds`: its fields are the language's (type, range, default,
docstring), and it says which operation it makes of the shape that it reads. The language, its
JSON Schema, the checks and the graph have it from there. An item is a layer and what follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, Self

from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.field_fault import FieldFault
from wavetwin.ir.frozen import frozen
from wavetwin.ir.initial_laws import INITIAL_LAWS, DefaultLaw, InitialLaw
from wavetwin.ir.node import ShapeError
from wavetwin.ir.operations import Operation, Shape
from wavetwin.ir.own_code import OwnCode, OwnCodeError
from wavetwin.ir.section import Section

__all__ = [
    "FieldFault",
    "LayerItem",
    "LayerKind",
    "LayerOptions",
    "Measure",
    "add_items",
    "arrange",
    "labels_of",
]


Measure = Callable[[OwnCode, Shape], Operation]
"""From a class in a file of the project and the shape that it reads to its operation."""


@frozen
class LayerOptions:
    """What the spec says beside a layer's own fields."""

    num_classes: int
    initial: InitialLaw | None = None
    """How the weights of layers begin that do not say it."""
    norm: LayerKind | None = None
    """What follows the layers that are normalised and have no norm of their own."""
    measure: Measure | None = None
    """Makes an operation of a module of the project; None where no layer is one."""

    def law(self, own: InitialLaw | None) -> InitialLaw:
        """Return how a layer's weights begin."""
        return own or self.initial or DefaultLaw()


@frozen(kw_only=True)
class LayerKind(Section):
    """A layer of a `sequential` backbone."""

    key: ClassVar[str]
    """The key of an item that it is."""
    takes_followers: ClassVar[bool] = False
    """Whether other layers may stand beside it in its item, to follow it."""
    follows: ClassVar[int | None] = None
    """The place among followers, from 1; None: it follows nothing within an item."""
    is_normalised: ClassVar[bool] = False
    """Whether `backbone.norm` adds a norm behind it."""
    is_container: ClassVar[bool] = False
    """Whether it has nodes of its own below its item's id, beside its followers."""
    hands_over: ClassVar[tuple[str, ...]] = ()
    """Fields that a layer has of the one that it replaces, where both have them."""
    laws: ClassVar[tuple[type[InitialLaw], ...]] = tuple(INITIAL_LAWS.values())
    """Those by which its weights can begin, where it has an `initial`."""
    gives: ClassVar[str | None] = None
    """The field that says how many values it gives of an image, where one does."""

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that an operation of a named trunk is; None where it is no such layer."""
        return None

    def operation(self, shape: Shape, options: LayerOptions) -> Operation:
        """Return the operation on what has this shape."""
        raise AssertionError(f"{self.key} is more than an operation")

    def add(
        self,
        builder: GraphBuilder,
        node_id: str,
        current: str,
        options: LayerOptions,
        fields: Sequence[str],
    ) -> str:
        """Add its nodes behind `current` and return the last one's id.

        Raises:
            ShapeError: it has no output for what it reads.
        """
        operation = self.operation(builder.shape(current), options)
        return builder.add(node_id, operation, current, fields=fields)

    def faults(self) -> Iterator[FieldFault]:
        """Yield the fields that do not go together."""
        yield from ()

    def num_values(self, options: LayerOptions) -> int | None:
        """Return how many values it gives of an image: by default one for each class.

        None where its fields do not say it.
        """
        return None if self.gives is None else getattr(self, self.gives) or options.num_classes


@frozen
class LayerItem:
    """An item of a list of layers."""

    layer: LayerKind
    followers: tuple[LayerKind, ...] = ()
    """In the order in which they compute."""
    name: str | None = None
    field: str = ""
    """Its key path in the spec."""
    also: tuple[str, ...] = ()
    """Further key paths that it comes from."""

    def add(self, builder: GraphBuilder, item_id: str, current: str, options: LayerOptions) -> str:
        """Add the layer and its followers behind `current` and return the last node's id.

        Raises:
            ShapeError: a layer has no output for what it reads.
            OwnCodeError: a module of the project is at fault; its field says which one.
        """
        layers = [self.layer, *self.followers]
        norm = options.norm if self.layer.is_normalised else None
        if norm is not None and all(each.follows != norm.follows for each in self.followers):
            layers.insert(1, norm)
        replaced = () if self.name is None else (f"backbone.replace.{self.name}",)
        replaced = (*replaced, *self.also)
        for layer in layers:
            is_apart = len(layers) > 1 and not layer.is_container
            node_id = f"{item_id}.{layer.key}" if is_apart else item_id
            said = "backbone.norm" if layer is norm else f"{self.field}.{layer.key}"
            fields = (self.field, said, *replaced)
            try:
                current = layer.add(builder, node_id, current, options, fields)
            except OwnCodeError as error:
                error.field = error.field or f"{self.field}.{layer.key}"
                raise
        return current


def arrange(layers: Iterable[LayerKind]) -> tuple[LayerKind, ...] | None:
    """Return the layers of one item in the order in which they compute.

    None where they are no item: there is no layer, or two of one place, or one that takes no followers
    has some.
    """
    ranked = sorted(layers, key=lambda layer: layer.follows or 0)
    places = [layer.follows for layer in ranked]
    is_item = len(set(places)) == len(places) and bool(ranked)
    if is_item and (len(ranked) == 1 or ranked[0].takes_followers):
        return tuple(ranked)
    return None


def labels_of(items: Sequence[LayerItem]) -> list[str]:
    """Return what each item of a list is called: its name, or its kind and a count of unnamed ones."""
    counts: dict[str, int] = {}
    labels: list[str] = []
    for item in items:
        key = item.layer.key
        if item.name is None:
            counts[key] = counts.get(key, 0) + 1
        labels.append(item.name or f"{key}{counts[key]}")
    return labels


def add_items(
    builder: GraphBuilder,
    prefix: str,
    items: Sequence[LayerItem],
    current: str,
    options: LayerOptions,
) -> str:
    """Add the items of a list, one behind the other, and return the last node's id.

    Raises:
        ShapeError: a layer has no output for what it reads; its field says which item it is of.
    """
    for label, item in zip(labels_of(items), items, strict=True):
        try:
            current = item.add(builder, f"{prefix}.{label}", current, options)
        except ShapeError as error:
            error.field = error.field or item.field
            raise
    return current
