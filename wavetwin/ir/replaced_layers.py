"""Say what a replacement is to the layer that it is laid on, and lay one on a layer that a trunk has.

Fields of the same kind merge; another kind takes the place and has of the one before what both say alike.
Replacements in lists (`wavetwin.compiler.parse.replacement`) are laid on what is written there, located
texts that need not be layers yet, by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from wavetwin.ir.layer_kind import LayerItem, LayerKind, arrange
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.operations import Operation
from wavetwin.ir.section import declared_fields

__all__ = [
    "NotReplacedError",
    "handed_over",
    "kind_of_operation",
    "replaced_item",
    "replacing_layers",
]


class NotReplacedError(ValueError):
    """A replacement is no layer: the message says why."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        self.code = code
        self.field = field
        """Key path below the replacement of what is at fault."""
        super().__init__(message)


def replacing_layers(before: str | None, given: Iterable[str]) -> list[str]:
    """Return the layers of a replacement that take the place of another one, past what follows them.

    Followers alone follow the layer that is there, unless that is a follower, too.

    Args:
        before: the layer that is there; None where that is not known.
        given: the keys of the replacement's layers.
    """
    kinds, keys = known_layers(), list(given)
    first = [key for key in keys if kinds[key].follows is None]
    may_be_follower = before is None or kinds[before].follows is not None
    return first or (keys if may_be_follower else [])


def handed_over(before: str, after: str) -> set[str]:
    """Return the fields that a layer has of the one of another kind that it replaces."""
    kinds = known_layers()
    return {*kinds[before].hands_over} & {*kinds[after].hands_over}


def kind_of_operation(operation: Operation) -> LayerKind | None:
    """Return the layer of a list that an operation would be; None where no replaceable one is."""
    found = (kind.of(operation) for kind in known_layers().values())
    return next((layer for layer in found if layer is not None), None)


def replaced_item(
    operation: Operation, given: Mapping[str, Mapping[str, Any]], field: str
) -> LayerItem:
    """Return what takes the place of an operation of a trunk.

    Args:
        operation: the trunk's.
        given: the fields that the replacement says, by the keys of layers.
        field: its key path in the spec.

    Raises:
        NotReplacedError: it is no layer with its followers, lacks a field, or the operation is none that
            can be replaced.
    """
    before = kind_of_operation(operation)
    if before is None:
        raise NotReplacedError(
            "layer-not-replaceable", f"nothing takes the place of the operation {operation.op}"
        )
    values = {key: dict(fields) for key, fields in given.items()}
    main = replacing_layers(before.key, values)
    if len(main) > 1:
        raise NotReplacedError(
            "not-one-layer", f"one layer takes a layer's place, not {' and '.join(main)}"
        )
    if not main or main == [before.key]:
        values[before.key] = {**before.values(), **values.get(before.key, {})}
    else:
        shared = handed_over(before.key, main[0])
        taken = {name: value for name, value in before.values().items() if name in shared}
        values[main[0]] = {**taken, **values[main[0]]}
    layers = arrange(_layer(key, fields) for key, fields in values.items())
    if layers is None:
        written = " and ".join(values)
        raise NotReplacedError("not-one-layer", f"one layer takes a layer's place, not {written}")
    return LayerItem(layers[0], layers[1:], None, field, ("backbone.arch",))


def _layer(key: str, values: Mapping[str, Any]) -> LayerKind:
    kind = known_layers()[key]
    for each in declared_fields(kind):
        if each.default is MISSING and each.name not in values:
            message = f"{key} has no '{each.name}', which is required"
            raise NotReplacedError("missing-field", message, key)
    return kind(**values)
