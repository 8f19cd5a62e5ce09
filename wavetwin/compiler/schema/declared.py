"""Make the models of the sections that `ir` declares.

How a model is trained and judged is declared once, in `ir.training` and `ir.evaluations`: the plan
and the runtime have it from there, and so has the language. A section of several kinds takes the
fields of them all; which of them belong to the kind that is chosen, the checks say.

Type checkers see such a section of a spec as `ir` declares it. It is a model all the same: fields
that nothing sets are None until the spec is resolved, and `kind_of` and `given` read it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args

import pydantic
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from wavetwin.compiler.schema.model import LATER, SpecModel, with_defaults
from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Kind, Kinds, Section, declaration_of, declared_fields, field_types

__all__ = [
    "DeferredChoice",
    "DeferredModel",
    "KindModel",
    "choice_of",
    "declared_value",
    "given",
    "kind_of",
    "model_of",
    "model_of_kinds",
    "section_of",
]

S = TypeVar("S", bound=Section)


@frozen
class DeferredModel:
    """Metadata of `Any` for a model that is made for the first value: each start waits for all others."""

    make: Callable[[], type[SpecModel]]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return a schema that leaves values to the model, and faults where the model found them."""
        return core_schema.no_info_plain_validator_function(
            lambda value: self.make().model_validate(value)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return a reference to the model's JSON Schema: only what stands within is a definition."""
        own = handler(core_schema.list_schema(self.make().__pydantic_core_schema__))
        return own["items"]


@frozen
class DeferredChoice:
    """Metadata of `str` for a choice whose names are asked for with the first value."""

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return a schema that holds values against the names as they are then."""
        return core_schema.no_info_plain_validator_function(
            lambda value: TypeAdapter(choice_of(self.names())).validate_python(value, strict=True)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON Schema of the names."""
        return {"enum": list(self.names()), "type": "string"}


class KindModel(SpecModel):
    """A section of several kinds; a field that the chosen kind does not have is None."""

    kinds: ClassVar[Kinds[Any]]

    def later_defaults(self) -> Mapping[str, Any]:
        """Return the default that the chosen kind has for each later field."""
        return {
            each.name: each.default
            for each in fields(kind_of(cast("Kind", self)))
            if declaration_of(each).is_later
        }


def kind_of(section: Kind) -> type[Kind]:
    """Return the kind that a section of a spec chooses."""
    kinds = cast("KindModel", section).kinds
    return kinds[getattr(section, kinds.tag)]


def given(section: Kind) -> dict[str, Any]:
    """Return the fields of a section of a spec that have a value, but for its kind."""
    model = cast("KindModel", section)
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {
        name: value
        for name, value in values.items()
        if value is not None and name != model.kinds.tag
    }


def section_of(model: SpecModel, section: type[S]) -> S:
    """Return the section that a model of it describes."""
    return section(**{each.name: getattr(model, each.name) for each in declared_fields(section)})


def declared_value(section: KindModel) -> Any:
    """Return a section of a spec as its kind, with the kind's defaults.

    Fields that the kind does not have are left out: the checks report them.
    """
    kind = cast("Kind", section)
    known = {each.name for each in declared_fields(kind_of(kind))}
    values = {name: value for name, value in given(kind).items() if name in known}
    return kind_of(kind)(**values)


def model_of(
    name: str,
    section: type[Section],
    inner: Mapping[str, Any] | None = None,
    *,
    is_partial: bool = False,
) -> type[SpecModel]:
    """Return the model of a declared section.

    Args:
        name: of the model.
        section: what is declared.
        inner: fields whose types are models: each a model, whose defaults are the field's, or type and
            field as `create_model` takes them.
        is_partial: whether fields that are not given are None, whatever their defaults.
    """
    hints = field_types(section)
    made: dict[str, Any] = {}
    for each in declared_fields(section):
        known = (inner or {}).get(each.name)
        if isinstance(known, type):
            made[each.name] = (known, pydantic.Field(default_factory=partial(with_defaults, known)))
        else:
            made[each.name] = known or _field(each, hints[each.name], may_be_absent=is_partial)
    return _model(name, SpecModel, section.__doc__, made, declared=(section,))


def model_of_kinds(
    name: str,
    kinds: Kinds[Any],
    base: type[Kind],
    inner: Mapping[str, Any] | None = None,
    *,
    default: type[Kind] | None = None,
) -> type[KindModel]:
    """Return the model of a section that has several kinds.

    A field that all of them have with one default has it here, too; any other has none: resolve asks
    the kind that is chosen.

    Args:
        name: of the model.
        kinds: its kinds.
        base: of all of them: says what the section is.
        inner: type and field, as `create_model` takes them, of fields whose types are models; not every
            kind has them, so that they may be absent.
        default: the kind where none is chosen; None: one has to be.
    """
    made: dict[str, Any] = {
        kinds.tag: (
            choice_of(kinds),
            pydantic.Field() if default is None else pydantic.Field(default=default.kind_name()),
        )
    }
    for field_name, declarations in kinds.all_fields().items():
        with_field = kinds.with_field(field_name)
        each = declarations[0]
        annotation = field_types(kinds[with_field[0]])[field_name]
        if inner is not None and field_name in inner:
            made[field_name] = inner[field_name]
        elif kinds.shares(field_name):
            made[field_name] = _field(each, annotation)
        else:
            made[field_name] = _field(each, annotation, may_be_absent=True)
    declared = tuple(kinds.values())
    return _model(name, KindModel, base.__doc__, made, declared=declared, kinds=kinds)


def choice_of(table: Iterable[str]) -> Any:
    """Return the type of the names in a table."""
    return Literal[tuple(table)]


def _model(
    name: str, base: type[Any], text: str | None, made: dict[str, Any], **attributes: object
) -> type[Any]:
    """Return a model of these fields, with class attributes."""
    model = pydantic.create_model(name, __base__=base, __module__=__name__, __doc__=text, **made)
    for key, value in attributes.items():
        setattr(model, key, value)
    return model


def _field(each: Field[Any], annotation: Any, *, may_be_absent: bool = False) -> tuple[Any, Any]:
    """Return a field's type and the rest, as `create_model` takes them."""
    known = declaration_of(each)
    limits: dict[str, Any] = dict(known.limits)
    if known.items:
        annotation = _with_items(annotation, known.items)
        limits["strict"] = False
    if known.is_later:
        annotation = Annotated[annotation, LATER]
    if may_be_absent:
        annotation, limits["default"] = annotation | None, None
    elif each.default is not MISSING:
        limits["default"] = each.default
    return annotation, pydantic.Field(**limits)


def _with_items(annotation: Any, limits: Mapping[str, Any]) -> Any:
    """Return the type of a list whose items have limits; the list may be absent."""
    item, *others = get_args(annotation)
    if others == [type(None)]:
        return _with_items(item, limits) | None
    limited = Annotated[item, pydantic.Field(**limits)]
    return tuple[(limited, *(other if other is Ellipsis else limited for other in others))]
