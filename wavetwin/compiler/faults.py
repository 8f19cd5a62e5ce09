"""Faults: one message for each thing that the schema refuses, at the key or value at fault."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wavetwin.compiler.compose import find_node
from wavetwin.compiler.fields import (
    Form,
    PathPart,
    field_forms,
    form_at,
    model_at,
    sections_with,
)
from wavetwin.compiler.parse import SpecNode
from wavetwin.compiler.schema import LANGUAGE_VERSION, NAME_PATTERN, NAME_RULE
from wavetwin.compiler.suggest import MAX_CHOICES, join_words, nearest, suggest
from wavetwin.diagnostics import Diagnostic

Path = tuple[PathPart, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the schema refuses."""

    path: Path
    diagnostic: Diagnostic
    is_missing: bool = False
    """A field that is not there, which another file of the chain may set."""
    is_silent: bool = False
    """Said already: a field that is missing because its key is misspelt."""
    meant: Path | None = None
    """Of an unknown field: the field that was probably meant."""


def explain_fault(tree: SpecNode, kind: str, path: Path) -> Fault | None:
    """Return the fault that an error of pydantic stands for; None where another one says it."""
    if kind == "missing":
        return _missing(tree, path)
    node = find_node(tree, path)
    assert node is not None, path
    if kind == "extra_forbidden":
        return _unknown_field(path, node)
    if kind == "literal_error":
        return _unknown_choice(path, node)
    if kind in ("too_short", "too_long"):
        return _wrong_length(path, node)
    if kind in ("string_too_short", "string_too_long"):
        form = _form_of(path, node)
        headline = (
            f"{path_text(path)} must have {form.bounds} characters, not {len(str(node.value))}"
        )
        return Fault(path, Diagnostic("wrong-length", headline, node.place))
    if kind == "string_pattern_mismatch":
        return _bad_name(path, node)
    if kind in _RANGE_ERRORS:
        return _out_of_range(path, node)
    assert kind in _TYPE_ERRORS, kind
    return wrong_type(path, node)


_RANGE_ERRORS = frozenset(
    {
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "finite_number",
        "int_parsing_size",
    }
)
_TYPE_ERRORS = frozenset(
    {
        "bool_type",
        "dict_type",
        "float_type",
        "int_from_float",
        "int_type",
        "list_type",
        "model_attributes_type",
        "model_type",
        "string_type",
        "tuple_type",
    }
)


def _form_of(path: Path, node: SpecNode) -> Form:
    """Return the form of the value, of several the one that it comes nearest to."""
    form = form_at(path)
    assert form is not None, path
    tag = "scalar"
    if isinstance(node.value, dict | list):
        tag = "mapping" if isinstance(node.value, dict) else "list"
    return dict(form.branches).get(tag, form)


def _missing(tree: SpecNode, path: Path) -> Fault | None:
    parent_path = path[:-1]
    parent = find_node(tree, parent_path)
    assert parent is not None, path
    if isinstance(path[-1], int):
        # The items that a list of fixed length lacks: said once, of the list.
        assert isinstance(parent.value, list)
        return _wrong_length(parent_path, parent) if path[-1] == len(parent.value) else None
    shown = path_text(path)
    null = find_node(tree, path)
    if null is not None:
        return Fault(
            path,
            Diagnostic(
                "null-for-required-field",
                f"{shown} is required and cannot be removed",
                null.place,
                help=_choices_help(path),
            ),
            is_missing=True,
        )
    where = path_text(parent_path) or "the spec"
    return Fault(
        path,
        Diagnostic(
            "missing-field",
            f"{where} has no '{path[-1]}', which is required",
            parent.key_place or parent.place,
            help=_choices_help(path),
        ),
        is_missing=True,
    )


def _choices_help(path: Path) -> str | None:
    form = form_at(path)
    if form is None or not form.choices:
        return None
    choices = [str(choice) for choice in form.choices]
    return f"write {path[-1]}: {choices[0]}" if len(choices) == 1 else suggest("", choices)


def _unknown_field(path: Path, node: SpecNode) -> Fault:
    key = str(path[-1])
    section = path[:-1]
    model = model_at(section)
    assert model is not None, path
    names = list(field_forms(model))
    meant = nearest(key, names)
    if meant is not None:
        help_text = f"did you mean '{meant}'?"
    elif not names:
        help_text = f"{path_text(section)} has no fields; write {{}}"
    else:
        elsewhere = [name for name in sections_with(key) if name not in ("", path_text(section))]
        found = [f"'{key}' is a field of {join_words(elsewhere, 'and')}"] if elsewhere else []
        choices = suggest("", names)
        help_text = "; ".join([*found, *([choices] if choices else [])]) or None
    where = path_text(section) or "a spec"
    return Fault(
        path,
        Diagnostic(
            "unknown-field",
            f"{where} has no field '{key}'",
            node.key_place or node.place,
            help=help_text,
        ),
        meant=None if meant is None else (*section, meant),
    )


def _unknown_choice(path: Path, node: SpecNode) -> Fault:
    choices = _form_of(path, node).choices
    value = node.value
    if path == ("wavetwin",) and isinstance(value, int):
        headline = (
            f"this wavetwin reads version {LANGUAGE_VERSION} of the spec language, not {value}"
        )
        help_text = "use the version of wavetwin that the spec was written for"
        return Fault(path, Diagnostic("unknown-version", headline, node.place, help=help_text))
    if not isinstance(value, tuple({type(choice) for choice in choices})):
        return wrong_type(path, node)
    # Among numbers the nearest is not the one that was meant: all are listed.
    help_text = suggest(
        value if isinstance(value, str) else "", [str(choice) for choice in choices]
    )
    headline = f"{path_text(path)} cannot be {describe(value)}"
    return Fault(path, Diagnostic("unknown-choice", headline, node.place, help=help_text))


def _wrong_length(path: Path, node: SpecNode) -> Fault | None:
    form = _form_of(path, node)
    assert isinstance(node.value, list), path
    length = len(node.value)
    if form.num_items is not None:
        takes = str(form.num_items)
    else:
        # pydantic counts the valid items only; a list that is long enough is not at fault.
        low = form.bounds.startswith(("at least", "from")) and length == 0
        high = form.bounds.rsplit(" ", 1)[-1]
        if not low and (form.bounds.startswith("at least") or length <= int(high)):
            return None
        takes = form.bounds
    items = "item" if takes.endswith(" 1") or takes == "1" else "items"
    return Fault(
        path,
        Diagnostic(
            "wrong-length", f"{path_text(path)} must have {takes} {items}, not {length}", node.place
        ),
    )


def _bad_name(path: Path, node: SpecNode) -> Fault:
    assert form_at(path) is not None
    assert NAME_PATTERN.endswith("{0,63}$")
    return Fault(
        path,
        Diagnostic(
            "bad-name",
            f"{path_text(path)} cannot be {describe(node)}",
            node.place,
            help=NAME_RULE,
        ),
    )


def _out_of_range(path: Path, node: SpecNode) -> Fault:
    form = _form_of(path, node)
    value = node.value
    is_finite = not isinstance(value, float) or math.isfinite(value)
    takes = form.bounds if is_finite and form.bounds else "a finite number"
    return Fault(
        path,
        Diagnostic(
            "out-of-range", f"{path_text(path)} must be {takes}, not {describe(value)}", node.place
        ),
    )


def wrong_type(path: Path, node: SpecNode) -> Fault:
    """Return the fault of a value that is of another type than its field."""
    form = form_at(path)
    assert form is not None, path
    value = node.value
    received = describe(value)
    if isinstance(value, str):
        received = f"the text {received}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        received = f"the number {received}"
    words = "one of its names" if len(form.choices) > MAX_CHOICES else form.words
    return Fault(
        path,
        Diagnostic(
            "wrong-type",
            f"{path_text(path)} must be {words}, not {received}",
            node.place,
            help=_type_help(form, value),
        ),
    )


def _type_help(form: Form, value: object) -> str | None:
    """Return how to write what was probably meant; None where that cannot be told."""
    if isinstance(value, dict | list):
        return None
    if form.words == "text":
        return "write it in quotes"
    if form.item is not None:
        is_one_item = form.num_items is None and form.item.model is None
        return f"write [{describe(value)}]" if is_one_item else None
    if isinstance(value, str):
        if form.words == "true or false":
            return _boolean_help(value)
        digits = value.replace("_", "").replace(",", "")
        if form.words in ("a whole number", "a number") and digits.replace(".", "", 1).isdigit():
            return f"write {digits}, without quotes"
    elif isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    return None


def _boolean_help(value: str) -> str:
    word = value.lower()
    if word in ("yes", "on", "y"):
        return "write true"
    return "write false" if word in ("no", "off", "n") else "write true or false"


def path_text(path: Sequence[PathPart]) -> str:
    """Return a path as messages show it, `stem.wavelet.keep.0.channels`."""
    return ".".join(map(str, path))


def describe(value: object) -> str:
    """Return a value as messages show it, short enough for a headline."""
    if isinstance(value, SpecNode):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        return ".nan" if math.isnan(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:37] + "..."
        return repr(shown)
    return "a mapping" if isinstance(value, dict) else "a list"
