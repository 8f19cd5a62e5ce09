"""Make the JSON Schema of a spec file, for editors, from the models of `schema`.

A file may leave out what it inherits and may set an inherited value to null, so that mappings which
merge have no required fields here; the items of lists, which replace as a whole, keep theirs.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import (
    LANGUAGE_VERSION,
    BackboneSpec,
    ExperimentSpec,
    SpecModel,
    item_models,
    layer_models,
    transform_item,
    transform_models,
)
from wavetwin.compiler.schema.declared import KindModel
from wavetwin.compiler.validate.choice_texts import choice_texts
from wavetwin.compiler.validate.fields import sections
from wavetwin.ir.section import Kinds, declared_fields

WHOLE = frozenset(
    {
        "KeepSpec",
        "EvaluationSpec",
        "OwnMetricSpec",
        "LintAllowSpec",
        "ParameterGroupSpec",
        *(item.__name__ for item in (*item_models(), transform_item())),
        *(model.__name__ for model in (*layer_models().values(), *transform_models().values())),
    }
)
"""Models that stand in lists: what they require is required in the file."""

FILE = "spec.schema.json"

_PACKAGE = __name__.partition(".")[0]


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one spec file."""
    document: dict[str, Any] = ExperimentSpec.model_json_schema()
    classes = {model.__name__: model for _, model in sections()}
    models = cast("dict[str, dict[str, Any]]", document.pop("$defs"))
    for name, model in [*models.items(), ("ExperimentSpec", document)]:
        _complete(name, model, field_descriptions(classes[name]))
    _add_examples(document, models)
    _let_nulls_take_away(models)
    for item in (*item_models(), transform_item()):
        models[item.__name__]["minProperties"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:wavetwin:spec:{LANGUAGE_VERSION}",
        "title": f"wavetwin spec, language version {LANGUAGE_VERSION}",
        **{key: value for key, value in document.items() if key != "title"},
        "$defs": dict(sorted(models.items())),
    }


def _let_nulls_take_away(models: dict[str, dict[str, Any]]) -> None:
    """Let values of `backbone.replace` be null, as fields may be."""
    for form in models[BackboneSpec.__name__]["properties"]["replace"]["anyOf"]:
        inner = form.get("additionalProperties")
        if inner is not None:
            form["additionalProperties"] = {"anyOf": [inner, {"type": "null"}]}


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(spec_schema(), indent=1, ensure_ascii=False) + "\n"


def shipped_schema() -> str:
    """Return the text of the schema file that the package ships."""
    return (Path(__file__).parents[2] / FILE).read_text(encoding="utf-8")


def _complete(name: str, model: dict[str, Any], descriptions: dict[str, str]) -> None:
    """Add descriptions; let what merges be absent or null."""
    model.pop("title", None)
    if name not in WHOLE:
        model.pop("required", None)
    properties = cast("dict[str, dict[str, Any]]", model.get("properties", {}))
    for field, value in properties.items():
        value.pop("title", None)
        value.pop("discriminator", None)
        default = value.get("default", ...)
        if default is None or default == {}:
            del value["default"]
        if "anyOf" not in value and "oneOf" not in value:
            shape = {key: value.pop(key) for key in list(value) if key != "default"}
            value["anyOf"] = [shape]
        choices = cast("list[dict[str, Any]]", value.get("anyOf") or value.get("oneOf"))
        if {"type": "null"} not in choices:
            choices.append({"type": "null"})
        properties[field] = {"description": descriptions[field], **value}
        _describe_choices(value, descriptions[field])


def _describe_choices(shape: Any, description: str) -> None:
    """Add a sentence for each choice of the enumerations in a field's shape."""
    if isinstance(shape, dict):
        part = cast("dict[str, Any]", shape)
        texts = choice_texts(part["enum"], description) if "enum" in part else None
        if texts is not None:
            part["enumDescriptions"] = texts
        for each in part.values():
            _describe_choices(each, description)
    elif isinstance(shape, list):
        for each in cast("list[Any]", shape):
            _describe_choices(each, description)


def _add_examples(document: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    """Add an example to each field: that of the first section that it stands in."""
    # It asks which models stand in lists.
    from wavetwin.compiler.validate.field_examples import example_of, value_at

    for path, model in sections():
        section = models.get(model.__name__, {}) if path else document
        properties = cast("dict[str, dict[str, Any]]", section.get("properties", {}))
        for field, value in properties.items():
            if "examples" not in value:
                keys = (*path.split("."), field) if path else (field,)
                value["examples"] = [value_at(example_of(keys), keys)]


def field_descriptions(model: type[SpecModel]) -> dict[str, str]:
    """Return what each field of a model is: its docstring, where it is written or declared."""
    if not model.declared:
        return {**_docstrings(model), **model.field_texts}
    found: dict[str, str] = {}
    for section in model.declared:
        for each in declared_fields(section):
            found.setdefault(each.name, _docstrings(section)[each.name])
    if issubclass(model, KindModel):
        choice = {model.kinds.tag: f"{'; '.join(_kind_texts(model.kinds))}."}
        return choice | {name: _of_kinds(model.kinds, name, text) for name, text in found.items()}
    return found


def _kind_texts(kinds: Kinds[Any]) -> Iterator[str]:
    for name, kind in kinds.items():
        text = (kind.__doc__ or "").splitlines()[0].removesuffix(".")
        yield f"{name}: {text}"


def _of_kinds(kinds: Kinds[Any], name: str, text: str) -> str:
    """Return a field's description with the kinds that have it, and their defaults."""
    if kinds.shares(name):
        return text
    defaults: dict[str, list[str]] = {}
    for kind_name in kinds.with_field(name):
        (each,) = [each for each in fields(kinds[kind_name]) if each.name == name]
        if each.default is not MISSING and each.default is not None:
            defaults.setdefault(json.dumps(each.default).strip('"'), []).append(kind_name)
    shown = [
        value if len(defaults) == 1 else f"{value} of {join_texts(some, 'and')}"
        for value, some in defaults.items()
    ]
    description = f"Of {join_texts(kinds.with_field(name), 'and')}: {text[:1].lower()}{text[1:]}"
    return (
        f"{description.removesuffix('.')}; default: {', '.join(shown)}." if shown else description
    )


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """Return the docstring under each field of a class and of its bases."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        for name, text in _own_docstrings(each.__module__).get(each.__name__, {}).items():
            found.setdefault(name, text)
    return found


@cache
def _own_docstrings(module: str) -> dict[str, dict[str, str]]:
    """Return the docstring under each field of each class of a module of wavetwin."""
    if not module.startswith(f"{_PACKAGE}."):
        return {}
    file = sys.modules[module].__file__
    assert file is not None
    found: dict[str, dict[str, str]] = {}
    for statement in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if not isinstance(statement, ast.ClassDef):
            continue
        own = found.setdefault(statement.name, {})
        for field, after in pairwise(statement.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                own[field.target.id] = " ".join(after.value.value.split())
    return found
