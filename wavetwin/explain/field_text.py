"""Explain a field of a spec: what it is and may be, what it is by default, who reads it, an example."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.resolve.spec import DIGESTED
from wavetwin.compiler.schema import SpecModel
from wavetwin.compiler.schema.declared import KindModel
from wavetwin.compiler.schema.model import LATER
from wavetwin.compiler.validate.field_examples import ANY, example_of
from wavetwin.compiler.validate.fields import Form, field_forms, sections
from wavetwin.compiler.validate.json_schema import field_descriptions
from wavetwin.explain.diff.origins import DECIDED_BY
from wavetwin.ir.section import declaration_of

__all__ = [
    "SpecField",
    "explain_field",
    "explanation",
    "fields_named",
    "spec_fields",
    "type_text",
]

_READERS = {
    "wavetwin": "parse, which knows one language version",
    "extends": "parse, which merges the parents below the file",
    "name": "build and runs: the folders' names",
    "summary": "lists, reports and MODEL.md",
    "tags": "`wavetwin runs list` and reports",
    "backbone": "the graph: layers, shapes, parameters, cost; model.py",
    "stem": "the graph: the first layer; model.py",
    "pooling": "the graph: from the first layer to the next convolution; model.py",
    "data": "the plan: train.py and evaluate.py read the images by it; the graph has its shape from it",
    "training": "the plan: train.py",
    "weights": "the plan: train.py, before it reads any image",
    "evaluation": "the plan: evaluate.py",
    "published": "reports and `wavetwin diff`",
    "lint": "`wavetwin check` and `build`",
}
"""What reads each section."""

_DIGESTS = {
    "model": "model, training and evaluation: weights of another value do not fit, or mean something else",
    "training": "training and evaluation: another value is another run",
    "evaluation": "evaluation alone: runs stay as they are",
}
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class SpecField:
    """One field of the language."""

    path: tuple[str, ...]
    """Keys from the top; `*` for an item of a list or a name that the spec gives."""
    model: type[SpecModel]
    """Of the section that it is in."""

    @property
    def label(self) -> str:
        """Return the key path as a user writes it, without what stands for an item."""
        return ".".join(part for part in self.path if part != ANY)

    @property
    def form(self) -> Form:
        """Return what its value may be."""
        return field_forms(self.model)[self.path[-1]]


@cache
def spec_fields() -> tuple[SpecField, ...]:
    """Return every field once for each section that it can stand in, outer ones first."""
    return tuple(
        SpecField((*path.split("."), name) if path else (name,), model)
        for path, model in sections()
        for name in model.model_fields
    )


def fields_named(text: str) -> list[SpecField]:
    """Return the fields of a whole key path, or of the end of one; of alike ones the shortest path.

    Indices of lists, as other messages have them, are left out.
    """
    wanted = ".".join(part for part in text.split(".") if part != ANY and not part.isdigit())
    exact = [each for each in spec_fields() if each.label == wanted]
    found: dict[object, SpecField] = {}
    for each in exact or [each for each in spec_fields() if each.label.endswith(f".{wanted}")]:
        # A layer's section stands in several places, and is declared once.
        key = (each.model.declared or each.model, each.path[-1])
        found.setdefault(key, each)
        if len(each.path) < len(found[key].path):
            found[key] = each
    return list(found.values())


def explain_field(field: SpecField) -> str:
    """Return all that is known of a field, as lines."""
    description = field_descriptions(field.model)[field.path[-1]]
    default = "as said above" if "default: " in description else _default_text(field)
    rows = [("type", type_text(field.form)), ("default", default)]
    rows.append(("read by", _READERS[field.path[0]]))
    rows.append(("digest", _digest_text(field)))
    return explanation(field.path, description, rows, example_of(field.path))


def explanation(
    path: Sequence[str],
    description: str,
    rows: Iterable[tuple[str, str]],
    example: Mapping[str, Any],
) -> str:
    """Return what is known of a field as lines: its path, what it is, rows, a part of a document."""
    lines = [".".join(path)]
    lines += textwrap.wrap(description, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    for key, text in rows:
        start = f"  {key:10}"
        lines += textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * 12)
    lines += [
        f"  {'example' if not number else '':10}{line}"
        for number, line in enumerate(dump_spec(example).splitlines())
    ]
    return "\n".join(lines) + "\n"


def type_text(form: Form) -> str:
    """Return what a value may be."""
    if form.branches:
        return ", or ".join(type_text(each) for _, each in form.branches)
    bounds = f", {form.bounds}" if form.bounds else ""
    if form.item is None:
        return form.label + bounds
    inner = form.item
    each = inner.label if inner.choices else inner.bounds
    length = f" ({form.bounds} of them)" if form.bounds else ""
    return f"{form.label}{length}" + (f", each {each}" if each else "")


def _default_text(field: SpecField) -> str:
    decided = DECIDED_BY.get(field.label)
    if decided:
        return f"follows {join_texts(decided, 'and')}"
    name = field.path[-1]
    declared = field.model.model_fields[name]
    if declared.is_required():
        return "none: it has to be said"
    if issubclass(field.model, KindModel) and not field.model.kinds.shares(name):
        tag = field.model.kinds.tag
        return f"that of the {tag} that is chosen"
    value = declared.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none: it is absent"
    if isinstance(value, SpecModel) or (
        isinstance(value, tuple) and isinstance(value[0], SpecModel)
    ):
        return "the defaults of its fields"
    text = dump_spec({"value": list(value) if isinstance(value, tuple) else value})
    return text.removeprefix("value:").strip()


def _digest_text(field: SpecField) -> str:
    own, section = ".".join(field.path[:2]), field.path[0]
    digest = DIGESTED.get(own) or DIGESTED.get(section)
    if field.path[-1] in field.model.locations():
        return "none: what is in the file counts, by its SHA-256, and not where it lies"
    if digest is None:
        return "none: it does not change the experiment"
    later = "; at its default it is left out, as in specs of before it" if _is_later(field) else ""
    return _DIGESTS[digest] + later


def _is_later(field: SpecField) -> bool:
    name = field.path[-1]
    if LATER in field.model.model_fields[name].metadata:
        return True
    for section in field.model.declared:
        for each in section.__dataclass_fields__.values():
            if each.name == name and declaration_of(each).is_later:
                return True
    return False
