"""Make the model of an item of `backbone.layers` from the kinds that `ir` declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, cast

import pydantic
from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.declared import (
    DeferredModel,
    KindModel,
    choice_of,
    declared_value,
    model_of,
    model_of_kinds,
)
from wavetwin.compiler.schema.model import SpecModel
from wavetwin.ir.initial_laws import INITIAL_LAWS, InitialLaw, XavierLaw
from wavetwin.ir.layer_kind import LayerItem, LayerKind, arrange
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.section import declaration_of, declared_fields

__all__ = [
    "InitialField",
    "LayerField",
    "ReplacedField",
    "are_layers",
    "faulty_lists",
    "given_fields",
    "item_models",
    "items_below",
    "law_model",
    "laws_of",
    "layer_models",
    "layers_of",
    "name_of",
    "read_items",
    "read_law",
    "with_laws",
]


def _scalar_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | SpecModel) else "scalar"


InitialSpec: Any = model_of_kinds("InitialSpec", INITIAL_LAWS, InitialLaw, default=XavierLaw)
_GIVEN: Any = Annotated[
    Annotated[choice_of(INITIAL_LAWS), Tag("scalar")] | Annotated[InitialSpec, Tag("mapping")],
    Discriminator(_scalar_or_mapping),
]
if TYPE_CHECKING:
    InitialField = object
else:
    InitialField = _GIVEN | None
    """How weights begin: a law's name, or a mapping of the name and what the law takes."""


class Item(SpecModel):
    """One layer of a `sequential` backbone, with its name and what follows it."""

    name: str | None = Field(default=None, min_length=1, max_length=64)
    """Label of the layer: letters, digits and `_`, a letter first; its nodes are called by it."""


def _model(kind: type[LayerKind], *, is_partial: bool = False) -> type[SpecModel]:
    """Return the model of a kind; lists of layers in it hold those that have no such lists.

    A partial one has None where nothing is said.
    """
    inner: dict[str, Any] = {}
    for each in declared_fields(kind):
        known = declaration_of(each)
        if known.kinds is INITIAL_LAWS:
            inner[each.name] = (InitialField, Field(default=None))
        elif known.holds_items:
            branch: Any = _branch_item()
            items: Any = tuple[branch, ...]
            limits = dict(known.limits)
            inner[each.name] = (
                (items | None, Field(default=None, strict=False, **limits))
                if is_partial
                else (items, Field(default=(), strict=False, **limits))
            )
    name = f"Replaced{kind.__name__}" if is_partial else kind.__name__
    return model_of(name, kind, inner, is_partial=is_partial)


def _item_model(name: str, models: Mapping[str, type[SpecModel]]) -> type[SpecModel]:
    made: Any = {key: (model | None, None) for key, model in models.items()}
    item = pydantic.create_model(
        name, __base__=Item, __module__=__name__, __doc__=Item.__doc__, **made
    )
    item.field_texts = {
        key: (kind.__doc__ or "").splitlines()[0].partition(";")[0].removesuffix(".") + "."
        for key, kind in known_layers().items()
    }
    return item


def _has_items(kind: type[LayerKind]) -> bool:
    return any(declaration_of(each).holds_items for each in declared_fields(kind))


@cache
def _plain_models() -> dict[str, type[SpecModel]]:
    return {key: _model(kind) for key, kind in known_layers().items() if not _has_items(kind)}


@cache
def _branch_item() -> type[SpecModel]:
    return _item_model("BranchLayer", _plain_models())


@cache
def layer_models() -> dict[str, type[SpecModel]]:
    """Return the model of each kind, by the keys of items."""
    plain = _plain_models()
    return {key: plain.get(key) or _model(kind) for key, kind in known_layers().items()}


@cache
def _sequential_item() -> type[SpecModel]:
    return _item_model("SequentialLayer", layer_models())


@cache
def _replaced_item() -> type[SpecModel]:
    partial = {key: _model(kind, is_partial=True) for key, kind in known_layers().items()}
    return _item_model("ReplacedLayer", partial)


def item_models() -> tuple[type[SpecModel], ...]:
    """Return the models of the items of any list of layers."""
    return _sequential_item(), _branch_item()


if TYPE_CHECKING:
    LayerField = SpecModel
    ReplacedField = SpecModel
else:  # Most specs list no layers, and do not wait for the models of all kinds.
    LayerField = Annotated[Any, DeferredModel(_sequential_item)]
    """An item of `backbone.layers`."""
    ReplacedField = Annotated[Any, DeferredModel(_replaced_item)]
    """What takes the place of a layer, as far as it is said: fields that are not said are None."""


def given_fields(item: SpecModel) -> dict[str, dict[str, Any]]:
    """Return the fields that a replacement says, by the keys of layers, as `ir` has them."""
    found: dict[str, dict[str, Any]] = {}
    for key, kind in known_layers().items():
        layer = getattr(item, key)
        if layer is None:
            continue
        values = {each.name: _value(layer, each, key) for each in declared_fields(kind)}
        found[key] = {name: value for name, value in values.items() if value is not None}
    return found


def name_of(item: SpecModel) -> str | None:
    """Return an item's name."""
    return cast("Item", item).name


def layers_of(item: SpecModel) -> dict[str, LayerKind]:
    """Return the layers that an item has, by their keys.

    A list within one that does not hold one layer an item is empty there: that is reported of its items.
    """
    found: dict[str, LayerKind] = {}
    for key in layer_models():
        model = getattr(item, key, None)
        if model is not None:
            faulty = faulty_lists(item, key)
            whole = model.model_copy(update=dict.fromkeys(faulty, ())) if faulty else model
            found[key] = _layer(whole, key, "")
    return found


def faulty_lists(item: SpecModel, key: str) -> list[str]:
    """Return which fields of an item's layer are lists that do not hold one layer an item."""
    model, fields = getattr(item, key), declared_fields(known_layers()[key])
    lists = [each.name for each in fields if declaration_of(each).holds_items]
    return [name for name in lists if not are_layers(getattr(model, name) or ())]


def are_layers(items: Sequence[SpecModel]) -> bool:
    """Return whether each item of a list, and of every list within it, is one layer and what follows it."""
    return all(
        arrange(layers_of(item).values()) is not None
        for _, each in items_below(items, "")
        for item in each
    )


def laws_of(item: SpecModel) -> Iterator[tuple[str, KindModel]]:
    """Yield the laws that an item's layers write out, with their key paths below it."""
    for key, kind in known_layers().items():
        layer = getattr(item, key, None)
        for each in () if layer is None else declared_fields(kind):
            value = getattr(layer, each.name)
            if declaration_of(each).kinds is INITIAL_LAWS and isinstance(value, KindModel):
                yield f"{key}.{each.name}", value


def items_below(items: Sequence[SpecModel], path: str) -> Iterator[tuple[str, Sequence[SpecModel]]]:
    """Yield the key path and the items of a list of layers, and of every list within it."""
    yield path, items
    for index, item in enumerate(items):
        for key in layer_models():
            layer = getattr(item, key, None)
            for each in declared_fields(known_layers()[key]):
                if layer is not None and declaration_of(each).holds_items:
                    inner = getattr(layer, each.name)
                    yield from items_below(inner, f"{path}.{index}.{key}.{each.name}")


def read_items(items: Sequence[SpecModel], path: str) -> tuple[LayerItem, ...]:
    """Return the items of a list that is without fault; `path` is its key path."""
    found: list[LayerItem] = []
    for index, item in enumerate(items):
        own = f"{path}.{index}"
        models = {key: getattr(item, key, None) for key in layer_models()}
        layers = arrange(
            _layer(model, key, f"{own}.{key}") for key, model in models.items() if model is not None
        )
        assert layers is not None, own
        found.append(LayerItem(layers[0], layers[1:], name_of(item), own))
    return tuple(found)


def read_law(value: object) -> InitialLaw | None:
    """Return how weights begin, of a field of a spec."""
    if value is None or isinstance(value, InitialLaw):
        return value
    if isinstance(value, str):
        return INITIAL_LAWS[value]()
    assert isinstance(value, KindModel)
    return declared_value(value)


def law_model(value: object) -> Any:
    """Return a field that says how weights begin, written out."""
    law = read_law(value)
    return None if law is None else InitialSpec(**{law.tag: law.name, **law.values()})


def with_laws(item: SpecModel) -> SpecModel:
    """Return an item whose layers say how weights begin written out."""
    update: dict[str, Any] = {}
    for key, kind in known_layers().items():
        layer = getattr(item, key, None)
        if layer is None:
            continue
        filled: dict[str, Any] = {}
        for each in declared_fields(kind):
            known, value = declaration_of(each), getattr(layer, each.name)
            if known.kinds is INITIAL_LAWS:
                filled[each.name] = law_model(value)
            elif known.holds_items:
                filled[each.name] = tuple(map(with_laws, value))
        update[key] = layer.model_copy(update=filled)
    return item.model_copy(update=update)


def _layer(model: SpecModel, key: str, path: str) -> LayerKind:
    kind = known_layers()[key]
    return kind(**{each.name: _value(model, each, path) for each in declared_fields(kind)})


def _value(model: SpecModel, each: Any, path: str) -> Any:
    """Return a field of a layer as `ir` has it."""
    value, known = getattr(model, each.name), declaration_of(each)
    if known.holds_items and value is not None:
        return read_items(value, f"{path}.{each.name}")
    return read_law(value) if known.kinds is INITIAL_LAWS else value
