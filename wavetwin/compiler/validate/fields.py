"""Describe in messages what the schema says about the value at a key path.

Read from the models' annotations, and only when a message needs it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import Tag
from pydantic.fields import FieldInfo

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import LANGUAGE_VERSION, ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import DeferredChoice, DeferredModel, choice_of
from wavetwin.ir.frozen import frozen

PathPart = str | int


@frozen
class Language:
    """A language of documents, by the model of a whole one."""

    root: type[SpecModel]
    noun: str
    """What a document is called, without its article."""
    version_field: str
    version: int
    integer_choices: tuple[tuple[PathPart, ...], ...]
    """Enumerations of numbers: pydantic takes `true` for 1 and 3.0 for 3 there."""


SPECS = Language(
    ExperimentSpec,
    "spec",
    "wavetwin",
    LANGUAGE_VERSION,
    (("wavetwin",), ("pooling", "max_kernel"), ("data", "channels")),
)
"""The language of experiments, which every function here speaks where no other one is named."""


@frozen
class Form:
    """What a value may be."""

    label: str
    """For example `a whole number` or `a list of numbers`."""
    choices: tuple[str | int, ...] = ()
    """Of an enumeration."""
    bounds: str = ""
    """For example `from 1 to 4`; empty where there are none."""
    section: type[SpecModel] | DeferredModel | None = None
    """Of a mapping: its model, or how that is made."""
    item: Form | None = None
    """Of a list."""
    values: Form | None = None
    """Of a mapping whose keys are names that the spec gives."""
    num_items: int | None = None
    """Of a list whose length is fixed."""
    branches: tuple[tuple[str, Form], ...] = ()
    """Tag and form of each spelling, of a value with several."""

    @property
    def model(self) -> type[SpecModel] | None:
        """The model of a mapping; None of another value."""
        return self.section.make() if isinstance(self.section, DeferredModel) else self.section


@cache
def field_forms(model: type[SpecModel]) -> dict[str, Form]:
    """Return the form of each field of a model, in schema order."""
    return {name: _form(field.annotation, field) for name, field in model.model_fields.items()}


def default_at(path: Sequence[PathPart], language: Language = SPECS) -> Any:
    """Return the schema's default of a field; None where there is none."""
    model = model_at(path[:-1], language)
    field = None if model is None else model.model_fields.get(str(path[-1]))
    if field is None or field.is_required():
        return None
    return field.get_default(call_default_factory=False)


def model_at(path: Sequence[PathPart], language: Language = SPECS) -> type[SpecModel] | None:
    """Return the model of the mapping at a path; None where there is none."""
    if not path:
        return language.root
    form = form_at(path, language)
    return None if form is None else _mapping_model(form)


def form_at(path: Sequence[PathPart], language: Language = SPECS) -> Form | None:
    """Return the form of the value at a path; None where the schema has no such field."""
    form: Form | None = Form("a mapping", section=language.root)
    for part in path:
        if form is None:
            return None
        if isinstance(part, int):
            lists = [form, *(branch for _, branch in form.branches)]
            form = next((each.item for each in lists if each.item is not None), None)
        elif form.values is not None:
            form = form.values
        else:
            model = _mapping_model(form)
            form = None if model is None else field_forms(model).get(part)
    return form


def untagged_path(location: Sequence[PathPart], language: Language = SPECS) -> tuple[PathPart, ...]:
    """Return a key path without the names that pydantic adds for the branch of a union."""
    form: Form | None = Form("a mapping", section=language.root)
    path: list[PathPart] = []
    for part in location:
        if form is not None and form.branches:
            form = dict(form.branches)[str(part)]
            continue
        path.append(part)
        if form is None:
            continue
        if isinstance(part, int):
            form = form.item
        elif form.values is not None:
            form = form.values
        else:
            form = None if form.model is None else field_forms(form.model).get(part)
    return tuple(path)


def sections_with(key: str, language: Language = SPECS) -> list[str]:
    """Return the key paths of the sections that have a field of this name; `*` for a list's item.

    A section that stands in several places is named by the shortest path.
    """
    paths: dict[object, str] = {}
    for path, model in sections(language):
        what = model.declared or model
        if key in model.model_fields and len(path) <= len(paths.get(what, path)):
            paths[what] = path
    return list(paths.values())


@cache
def sections(language: Language = SPECS) -> tuple[tuple[str, type[SpecModel]], ...]:
    """Return the key path and the model of every section, outer ones first."""

    def walk(path: str, model: type[SpecModel]) -> Iterator[tuple[str, type[SpecModel]]]:
        yield path, model
        below = f"{path}." if path else ""
        for name, form in field_forms(model).items():
            inner = _mapping_model(form)
            if inner is not None:
                yield from walk(below + name, inner)
            else:
                each = next(
                    (i for _, b in form.branches if (i := b.item)), form.item or form.values
                )
                if each is not None and each.model is not None:
                    yield from walk(f"{below}{name}.*", each.model)

    return tuple(walk("", language.root))


def _mapping_model(form: Form) -> type[SpecModel] | None:
    if form.model is not None:
        return form.model
    return next((branch.model for _, branch in form.branches if branch.model is not None), None)


def _form(annotation: Any, field: FieldInfo | None = None) -> Form:
    """Return the form of an annotation; `field` holds what pydantic took out of it."""
    annotation, metadata = _without_metadata(annotation)
    metadata += [] if field is None else field.metadata
    deferred = next((each for each in metadata if isinstance(each, DeferredChoice)), None)
    if deferred is not None:
        annotation = choice_of(deferred.names())
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, Union):
        options = [option for option in arguments if option is not type(None)]
        if len(options) == 1:
            inner = _form(options[0])
            return inner if inner.bounds else _with_bounds(inner, metadata)
        branches = tuple((_tag(option), _form(option)) for option in options)
        return Form(join_texts([form.label for _, form in branches], "or"), branches=branches)
    if origin is Literal:
        return Form(join_texts([_quoted(choice) for choice in arguments], "or"), choices=arguments)
    if origin is tuple:
        item = _form(arguments[0])
        num_items = None if arguments[-1] is Ellipsis else len(arguments)
        plural = _PLURALS.get(item.label, "values")
        count = "" if num_items is None else f"{num_items} "
        return _with_bounds(
            Form(f"a list of {count}{plural}", item=item, num_items=num_items), metadata
        )
    if origin in (dict, Mapping):
        return Form("a mapping", values=_form(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return Form("a mapping", section=annotation)
    if isinstance(annotation, DeferredModel):
        return Form("a mapping", section=annotation)
    if annotation is Any:
        return Form("a value")
    label = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return _with_bounds(Form(label[annotation]), metadata)


def _without_metadata(annotation: Any) -> tuple[Any, list[Any]]:
    """Return a type without what is annotated, and that; a deferred model stands for its type."""
    metadata: list[Any] = []
    while typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        for each in more:
            if isinstance(each, DeferredModel):
                annotation = each
            metadata += each.metadata if isinstance(each, FieldInfo) else [each]
    return annotation, metadata


_PLURALS = {
    "a whole number": "whole numbers",
    "a number": "numbers",
    "text": "texts",
    "a mapping": "mappings",
}


def _tag(option: Any) -> str:
    return next(each.tag for each in typing.get_args(option)[1:] if isinstance(each, Tag))


def _quoted(choice: object) -> str:
    return f"'{choice}'" if isinstance(choice, str) else str(choice)


def _with_bounds(form: Form, metadata: Sequence[Any]) -> Form:
    """Return the form with the limits that the metadata states, as text."""
    limits: dict[str, Any] = {}
    for each in metadata:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length"):
            value = getattr(each, name, None)
            if value is not None:
                limits[name] = value
    is_number = form.label in ("a whole number", "a number")
    low, high = limits.get("ge"), limits.get("le")
    if not is_number:
        low, high = limits.get("min_length"), limits.get("max_length")
    label: list[str] = []
    if low is not None and high is not None:
        label.append(f"from {_number(low)} to {_number(high)}")
    elif low is not None:
        label.append(f"at least {_number(low)}")
    elif high is not None:
        label.append(f"at most {_number(high)}")
    if "gt" in limits:
        label.insert(0, f"above {_number(limits['gt'])}")
    if "lt" in limits:
        label.append(f"below {_number(limits['lt'])}")
    return replace(form, bounds=" and ".join(label)) if label else form


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
