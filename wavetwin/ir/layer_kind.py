"""Define what a kind of layer is that a spec lists in `backbone.layers`.

A kind is one class of `wavetwin.ir.layer_kinds`: its fields are the language's (type, range, default,
docstring), and it says which operation it makes of the shape that it reads. The language, its
JSON Schema, the checks and the graph have it from there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from wavetwin.ir.operations import Operation, Shape
from wavetwin.ir.section import Section

__all__ = ["FieldFault", "LayerItem", "LayerKind", "LayerOptions"]


@dataclass(frozen=True, slots=True)
class LayerOptions:
    """What the spec says beside a layer's own fields."""

    num_classes: int


@dataclass(frozen=True, slots=True)
class FieldFault:
    """Fields of a layer that do not go together."""

    code: str
    """Of the diagnostic."""
    headline: str
    fields: tuple[str, ...]
    """Those that do not go together, the one at fault first."""
    help: str | None = None
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    """What fields that are not given are taken as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind(Section):
    """A layer of a `sequential` backbone."""

    key: ClassVar[str]
    """The key of an item that it is."""
    takes_followers: ClassVar[bool] = False
    """Whether other layers may stand beside it in its item, to follow it."""
    follows: ClassVar[int | None] = None
    """The place among followers, from 1; None: it follows nothing within an item."""
    gives: ClassVar[str | None] = None
    """The field that says how many values it gives of an image, where one does."""

    @abstractmethod
    def operation(self, shape: Shape, options: LayerOptions) -> Operation:
        """Return the operation on what has this shape."""

    def faults(self) -> Iterator[FieldFault]:
        """Yield the fields that do not go together."""
        yield from ()

    def num_values(self, options: LayerOptions) -> int | None:
        """Return how many values it gives of an image: by default one for each class.

        None where its fields do not say it.
        """
        return None if self.gives is None else getattr(self, self.gives) or options.num_classes


@dataclass(frozen=True, slots=True)
class LayerItem:
    """An item of `backbone.layers`."""

    layer: LayerKind
