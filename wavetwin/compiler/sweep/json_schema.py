"""Make the JSON Schema of a sweep's file, for editors, from the models of `language`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from wavetwin.compiler.sweep.language import SWEEP_VERSION, SWEEPS, RangeSpec
from wavetwin.compiler.validate.fields import sections
from wavetwin.compiler.validate.json_schema import field_descriptions

__all__ = ["FILE", "sweep_schema", "sweep_schema_text"]

FILE = Path(__file__).parents[2] / "sweep.schema.json"
"""Beside the package's schema of specs."""


def sweep_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one sweep file."""
    document: dict[str, Any] = SWEEPS.root.model_json_schema()
    classes = {model.__name__: model for _, model in sections(SWEEPS)}
    models = cast("dict[str, dict[str, Any]]", document.pop("$defs"))
    for name, model in [*models.items(), (SWEEPS.root.__name__, document)]:
        model.pop("title", None)
        descriptions = field_descriptions(classes[name])
        properties = cast("dict[str, dict[str, Any]]", model["properties"])
        for field, value in properties.items():
            properties[field] = {"description": descriptions[field], **_without_null(value)}
    ranges = models[RangeSpec.__name__]
    ranges["minProperties"] = ranges["maxProperties"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:wavetwin:sweep:{SWEEP_VERSION}",
        "title": f"wavetwin sweep, language version {SWEEP_VERSION}",
        **document,
        "$defs": dict(sorted(models.items())),
    }


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that may be absent, and is never null."""
    shape = {key: each for key, each in value.items() if key not in ("title", "anyOf")}
    if shape.get("default", ...) is None:
        del shape["default"]
    choices = [each for each in value.get("anyOf", []) if each != {"type": "null"}]
    return shape | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


def sweep_schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(sweep_schema(), indent=1, ensure_ascii=False) + "\n"
