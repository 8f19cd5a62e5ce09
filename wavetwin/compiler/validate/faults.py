"""Report each thing that the schema refuses in one message, at the key or value at fault."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from wavetwin.compiler.parse.compose import find_node
from wavetwin.compiler.parse.nodes import SpecNode
from wavetwin.compiler.parse.suggest import MAX_CHOICES, join_texts, nearest, suggest
from wavetwin.compiler.schema import NAME_PATTERN, NAME_RULE
from wavetwin.compiler.validate.advice import advise, advise_comma, neighbours, raw_text
from wavetwin.compiler.validate.fields import (
    SPECS,
    Form,
    Language,
    PathPart,
    field_forms,
    form_at,
    model_at,
)
from wavetwin.diagnostics import Diagnostic, Location
from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import declaration_of, declared_fields

Path = tuple[PathPart, ...]


@frozen
class Fault:
    """One thing that the schema refuses."""

    path: Path
    diagnostic: Diagnostic
    is_missing: bool = False
    """A field that is not there, which another file of the chain may set."""
    is_silent: bool = False
    """Said already: a field that is missing because its key is misspelt, or half a number."""
    meant: Path | None = None
    """Of an unknown field: the field that was probably meant."""
    is_cut: bool = False
    """Of an unknown field: it is the rest of the number of the field meant, after a comma."""


def explain_fault(
    tree: SpecNode,
    kind: str,
    path: Path,
    line_text: Callable[[Location], str | None],
    language: Language,
) -> Fault | None:
    """Return the fault that an error of pydantic stands for; None where another one says it."""
    if kind == "missing":
        return _missing(tree, path, language)
    node = find_node(tree, path)
    assert node is not None, path
    if kind == "extra_forbidden":
        return unknown_field(tree, path, node, language)
    if kind == "literal_error":
        return _unknown_choice(path, node, line_text(node.location), language)
    if kind in ("too_short", "too_long"):
        return _wrong_length(path, node, language)
    if kind in ("string_too_short", "string_too_long"):
        form = _form_of(path, node, language)
        headline = (
            f"{path_text(path)} must have {form.bounds} characters, not {len(str(node.value))}"
        )
        return Fault(path, Diagnostic("wrong-length", headline, node.location))
    if kind == "string_pattern_mismatch":
        return _bad_name(path, node, language)
    if kind in _RANGE_ERRORS:
        return _out_of_range(path, node, language)
    assert kind in _TYPE_ERRORS, kind
    return wrong_type(path, node, line_text(node.location), language)


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
        "mapping_type",
        "model_attributes_type",
        "model_type",
        "string_type",
        "tuple_type",
    }
)


def _form_of(path: Path, node: SpecNode, language: Language) -> Form:
    """Return the form of the value, of several the one that it comes nearest to."""
    form = form_at(path, language)
    assert form is not None, path
    tag = "scalar"
    if isinstance(node.value, dict | list):
        tag = "mapping" if isinstance(node.value, dict) else "list"
    return dict(form.branches).get(tag, form)


def _missing(tree: SpecNode, path: Path, language: Language) -> Fault | None:
    parent_path = path[:-1]
    parent = find_node(tree, parent_path)
    assert parent is not None, path
    if isinstance(path[-1], int):
        # The items that a list of fixed length lacks: reported once, of the list.
        assert isinstance(parent.value, list)
        is_first = path[-1] == len(parent.value)
        return _wrong_length(parent_path, parent, language) if is_first else None
    shown = path_text(path)
    null = find_node(tree, path)
    if null is not None:
        return Fault(
            path,
            Diagnostic(
                "null-for-required-field",
                f"{shown} is required and cannot be removed",
                null.location,
                help=_choices_help(path, language),
            ),
            is_missing=True,
        )
    where = path_text(parent_path) or f"the {language.noun}"
    return Fault(
        path,
        Diagnostic(
            "missing-field",
            f"{where} has no '{path[-1]}', which is required",
            parent.key_location or parent.location,
            help=_choices_help(path, language),
        ),
        is_missing=True,
    )


def _choices_help(path: Path, language: Language) -> str | None:
    form = form_at(path, language)
    if form is None or not form.choices:
        return None
    choices = _choice_texts(form.choices)
    return f"write {path[-1]}: {choices[0]}" if len(choices) == 1 else suggest("", choices)


def _choice_texts(choices: Sequence[object]) -> list[str]:
    """Return the values of a choice as a spec writes them."""
    return [describe(each) if isinstance(each, bool) else str(each) for each in choices]


def unknown_field(tree: SpecNode, path: Path, node: SpecNode, language: Language = SPECS) -> Fault:
    """Return the fault of a key that its section does not have."""
    key = str(path[-1])
    section = path[:-1]
    model = model_at(section, language)
    assert model is not None, path
    names = list(field_forms(model))
    before = _before_comma(tree, path, node)
    meant = None if before else nearest(key, names)
    if before:
        cut = find_node(tree, (*section, before))
        help_text = advise_comma(section, cut, before, key, language)
        help_text = help_text or "a comma starts another field: leave it out"
    elif meant is not None:
        help_text = f"did you mean '{meant}'?"
    elif not names:
        help_text = f"{path_text(section)} has no fields; write {{}}"
    else:
        help_text = neighbours(section, key, node, language)
    where = path_text(section) or f"a {language.noun}"
    named = before or meant
    return Fault(
        path,
        Diagnostic(
            "unknown-field",
            f"{where} has no field '{key}'",
            node.key_location or node.location,
            help=help_text,
        ),
        meant=None if named is None else (*section, named),
        is_cut=before is not None,
    )


def _before_comma(tree: SpecNode, path: Path, node: SpecNode) -> str | None:
    """Return the field whose number a decimal comma cuts in two, as in `{lr: 0,05}`."""
    parent = find_node(tree, path[:-1])
    key, location = str(path[-1]), node.key_location
    if parent is None or not isinstance(parent.value, dict) or location is None:
        return None
    if node.left_out != "colon" or not re.match("[0-9]", key):
        return None
    for name, other in parent.value.items():
        end = (
            other.location.path,
            other.location.line,
            other.location.column + other.location.length + 1,
        )
        if end == (location.path, location.line, location.column):
            return name
    return None


def _unknown_choice(path: Path, node: SpecNode, line: str | None, language: Language) -> Fault:
    choices = _form_of(path, node, language).choices
    value = node.value
    if path == (language.version_field,) and isinstance(value, int):
        headline = (
            f"this wavetwin reads version {language.version} of the {language.noun} language, "
            f"not {value}"
        )
        help_text = f"use the version of wavetwin that the {language.noun} was written for"
        return Fault(path, Diagnostic("unknown-version", headline, node.location, help=help_text))
    if not isinstance(value, tuple({type(choice) for choice in choices})):
        return wrong_type(path, node, line, language)
    # Among numbers the nearest is not the one that was meant: all are listed.
    texts = _choice_texts(choices)
    help_text = (
        suggest(value, texts) if isinstance(value, str) else f"choose {join_texts(texts, 'or')}"
    )
    headline = f"{path_text(path)} cannot be {describe(value)}"
    return Fault(path, Diagnostic("unknown-choice", headline, node.location, help=help_text))


def _wrong_length(path: Path, node: SpecNode, language: Language) -> Fault | None:
    form = _form_of(path, node, language)
    assert isinstance(node.value, list), path
    length = len(node.value)
    if form.num_items is not None:
        if length == form.num_items:
            return None
        takes = str(form.num_items)
    else:
        # pydantic counts the valid items only; a list that is long enough is not at fault.
        least = re.match(r"(?:at least|from) (\d+)", form.bounds)
        most = re.search(r"(?:at most|to) (\d+)$", form.bounds)
        is_short = least is not None and length < int(least[1])
        if not is_short and (most is None or length <= int(most[1])):
            return None
        takes = form.bounds
    items = "item" if takes.endswith(" 1") or takes == "1" else "items"
    return Fault(
        path,
        Diagnostic(
            "wrong-length",
            f"{path_text(path)} must have {takes} {items}, not {length}",
            node.location,
        ),
    )


def too_long_lists(tree: SpecNode, paths: Sequence[Path], language: Language) -> list[Fault]:
    """Return the lists of some faulty items that are too long: of these pydantic reports the items."""
    found: list[Fault] = []
    lists = {path[: at + 1] for path in paths for at in range(len(path) - 1)}
    for path in sorted(lists - set(paths), key=path_text):
        node = find_node(tree, path)
        if node is not None and isinstance(node.value, list):
            fault = _wrong_length(path, node, language)
            if fault is not None:
                found.append(fault)
    return found


def _bad_name(path: Path, node: SpecNode, language: Language) -> Fault:
    assert form_at(path, language) is not None
    assert NAME_PATTERN.endswith("{0,63}$")
    section = model_at(path[:-1], language)
    rules = [
        declaration_of(each).rule
        for declared in (() if section is None else section.declared)
        for each in declared_fields(declared)
        if each.name == path[-1]
    ]
    return Fault(
        path,
        Diagnostic(
            "bad-name",
            f"{path_text(path)} cannot be {describe(node)}",
            node.location,
            help="".join(rules) or NAME_RULE,
        ),
    )


def _out_of_range(path: Path, node: SpecNode, language: Language) -> Fault:
    form = _form_of(path, node, language)
    value = node.value
    is_finite = not isinstance(value, float) or math.isfinite(value)
    takes = form.bounds if is_finite and form.bounds else "a finite number"
    return Fault(
        path,
        Diagnostic(
            "out-of-range",
            f"{path_text(path)} must be {takes}, not {describe(value)}",
            node.location,
        ),
    )


def wrong_type(path: Path, node: SpecNode, line: str | None, language: Language = SPECS) -> Fault:
    """Return the fault of a value that is of another type than its field; `line` is its text's."""
    form = form_at(path, language)
    assert form is not None, path
    value = node.value
    received = describe(value)
    if isinstance(value, str):
        received = f"the text {received}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        received = f"the number {received}"
    label = "one of its names" if len(form.choices) > MAX_CHOICES else form.label
    return Fault(
        path,
        Diagnostic(
            "wrong-type",
            f"{path_text(path)} must be {label}, not {received}",
            node.location,
            help=advise(path, node, raw_text(node, line), language),
        ),
    )


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
