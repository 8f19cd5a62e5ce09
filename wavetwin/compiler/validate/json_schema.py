"""The JSON Schema of a spec file, for editors and other tools, made from the models of `schema`.

A file may leave out what it inherits and may set an inherited value to null, so that mappings which
merge have no required fields here; the items of lists, which replace as a whole, keep theirs.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, cast

from wavetwin.compiler import schema
from wavetwin.compiler.schema import LANGUAGE_VERSION, ExperimentSpec

WHOLE = frozenset({"KeepSpec", "EvaluationSpec", "SequentialLayer", "ConvLayer", "LintAllowSpec"})
"""Models that stand in lists: what they require is required in the file."""

FILE = "spec.schema.json"


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one spec file."""
    document: dict[str, Any] = ExperimentSpec.model_json_schema()
    descriptions = _descriptions()
    models = cast("dict[str, dict[str, Any]]", document.pop("$defs"))
    for name, model in [*models.items(), ("ExperimentSpec", document)]:
        _complete(name, model, descriptions.get(name, {}))
    models["SequentialLayer"] |= {"minProperties": 1, "maxProperties": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"wavetwin spec, language version {LANGUAGE_VERSION}",
        **{key: value for key, value in document.items() if key != "title"},
        "$defs": dict(sorted(models.items())),
    }


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


def _descriptions() -> dict[str, dict[str, str]]:
    """Return the docstring under each field of each model."""
    found: dict[str, dict[str, str]] = {}
    files = sorted(Path(schema.__file__).parent.glob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    for statement in (each for tree in trees for each in tree.body):
        if not isinstance(statement, ast.ClassDef):
            continue
        fields = found.setdefault(statement.name, {})
        for field, after in zip(statement.body, statement.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                fields[field.target.id] = " ".join(after.value.value.split())
    return found
