"""Explain a field of a sweep: what it is and may be, what it is by default, an example."""

from __future__ import annotations

from functools import cache
from typing import Any

from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.sweep.language import SWEEPS
from wavetwin.compiler.validate.field_examples import ANY
from wavetwin.compiler.validate.fields import sections
from wavetwin.compiler.validate.json_schema import field_descriptions
from wavetwin.explain.field_text import SpecField, explanation, type_text

__all__ = ["EXAMPLES", "explain_sweep_field", "sweep_fields", "sweep_fields_named"]

_LR = "training.optimizer.lr"

EXAMPLES: dict[str, dict[str, Any]] = {
    "wavetwin_sweep": {"wavetwin_sweep": 1},
    "base": {"base": "../specs/mnist_conv.yaml"},
    "name": {"name": "table_1_2"},
    "summary": {"summary": "Learning rate and momentum of the first network"},
    "space": {
        "space": {_LR: {"grid": [0.01, 0.1]}, "pooling.free": {"choices": ["max", "max_blur"]}}
    },
    "space.choices": {"space": {"pooling.free": {"choices": ["max", "max_blur"]}}},
    "space.grid": {"space": {_LR: {"grid": [0.01, 0.0316, 0.1]}}},
    "space.log_uniform": {"space": {_LR: {"log_uniform": [0.001, 1.0]}}},
    "space.uniform": {"space": {"training.optimizer.momentum": {"uniform": [0.0, 0.99]}}},
    "space.int": {"space": {"stem.free_channels": {"int": [8, 16]}}},
    "search": {"search": "random", "budget": {"points": 32}},
    "search_seed": {"search": "random", "search_seed": 1, "budget": {"points": 32}},
    "seeds": {"seeds": [0, 1, 2]},
    "objective": {"objective": "validation.top1_error"},
    "budget": {"budget": {"max_epochs": 20}},
    "budget.points": {"search": "random", "budget": {"points": 32}},
    "budget.max_epochs": {"budget": {"max_epochs": 20}},
    "budget.grace_epochs": {"budget": {"grace_epochs": 5}, "scheduler": "asha"},
    "budget.reduction": {"budget": {"grace_epochs": 5, "reduction": 4}, "scheduler": "asha"},
    "scheduler": {"scheduler": "asha", "budget": {"grace_epochs": 5}},
    "parallel": {"scheduler": "asha", "parallel": 8},
}
"""A part of a sweep that sets each field."""


@cache
def sweep_fields() -> tuple[SpecField, ...]:
    """Return every field of the language of sweeps, outer ones first."""
    return tuple(
        SpecField((*path.split("."), name) if path else (name,), model)
        for path, model in sections(SWEEPS)
        for name in model.model_fields
    )


def sweep_fields_named(text: str) -> list[SpecField]:
    """Return the fields of a whole key path, or of the end of one, with or without `sweep.` before it."""
    parts = [part for part in text.split(".") if part != ANY]
    wanted = ".".join(parts[1:] if parts[:1] == [SWEEPS.noun] else parts)
    exact = [each for each in sweep_fields() if each.label == wanted]
    return exact or [each for each in sweep_fields() if each.label.endswith(f".{wanted}")]


def explain_sweep_field(field: SpecField) -> str:
    """Return all that is known of a field of a sweep, as lines."""
    name = field.path[-1]
    description = field_descriptions(field.model)[name]
    rows = [("type", type_text(field.form)), ("default", _default_text(field))]
    rows.append(("digest", "none: members have the digests of their own specs"))
    return explanation((SWEEPS.noun, *field.path), description, rows, EXAMPLES[field.label])


def _default_text(field: SpecField) -> str:
    declared = field.model.model_fields[field.path[-1]]
    if declared.is_required():
        return "none: it has to be said"
    value = declared.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none: it is absent"
    if not isinstance(value, str | int | float):
        return "the defaults of its fields"
    return dump_spec({"value": value}).removeprefix("value:").strip()
