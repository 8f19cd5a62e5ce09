"""Advise what to write instead of a value that a field does not take.

Nothing is offered before it was tried: a candidate is read as YAML and held against the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from pydantic import ValidationError

from wavetwin.compiler.parse.nodes import SpecNode, to_plain
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.suggest import MAX_CHOICES, join_texts, nearest
from wavetwin.compiler.parse.tree import parse_value
from wavetwin.compiler.validate.fields import (
    SPECS,
    Language,
    PathPart,
    field_forms,
    form_at,
    model_at,
    sections,
    sections_with,
)

_SEPARATORS = re.compile("[_'\\s\u00a0\u202f]")
_NUMBER = re.compile(r"[-+]?[0-9.,]*[0-9][0-9.,]*(?:[eE][-+]?[0-9]+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}([.,])[0-9]{3}(?:\1[0-9]{3})*")
_LABELS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def accepts(path: Sequence[PathPart], value: object, language: Language = SPECS) -> bool:
    """Return whether the field or the item at a path takes a value."""
    is_integer = tuple(path) in language.integer_choices
    if value is None or (is_integer and isinstance(value, bool | float)):
        return False
    last = max(index for index, part in enumerate(path) if isinstance(part, str))
    model = model_at(path[:last], language)
    if model is None:
        return False
    depth = len(path) - last - 1
    for _ in range(depth):
        value = [value]
    name = str(path[last])
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return not any(
            each["loc"][:1] == (name,) and not (depth and each["type"] in ("missing", "too_short"))
            for each in error.errors(include_url=False, include_input=False)
        )
    return True


def read_value(text: str) -> object:
    """Return what a text means as the value of a field; None where it is no YAML."""
    parsed = parse_value(Source("", text), 0)
    return None if parsed.tree is None or parsed.diagnostics else to_plain(parsed.tree)


def advise(
    path: Sequence[PathPart], node: SpecNode, raw: str | None, language: Language = SPECS
) -> str | None:
    """Return what to write instead of a value; None where nothing is known that the field takes.

    Args:
        path: of the field or item.
        node: with the value that is refused.
        raw: the value as it is written; None where that is not known.
        language: of the document.
    """
    value = node.value
    if value is None or isinstance(value, list | dict):
        return None
    taken = _first_taken(path, _candidates(path, value, raw, language), language)
    form = form_at(path, language)
    if not taken and form is not None and form.label == "true or false":
        return "write true or false"
    if not taken:
        return None
    is_unquoted = isinstance(value, str) and raw is not None and raw[:1] in ("'", '"')
    is_scalar = not isinstance(read_value(taken[0]), str | list | dict)
    without = ", without quotes" if is_unquoted and is_scalar else ""
    return f"write {join_texts(taken, 'or')}{without}"


def advise_comma(
    path: Sequence[PathPart],
    before: SpecNode | None,
    name: str,
    digits: str,
    language: Language = SPECS,
) -> str | None:
    """Return how to write a number whose comma starts another field, as in `{lr: 0,05}`.

    Args:
        path: of the section.
        before: the value before the comma.
        name: of the field that it belongs to.
        digits: what follows the comma.
        language: of the document.
    """
    if before is None or isinstance(before.value, bool | str | list | dict | None):
        return None
    taken = _taken((*path, name), _numbers(f"{before.value},{digits}"), language)
    return f"write {name}: {join_texts(taken, 'or')}" if taken else None


def neighbours(
    section: Sequence[PathPart], key: str, node: SpecNode, language: Language = SPECS
) -> str:
    """Return what an unknown field may have meant: where its name is known, and the fields here.

    Of more than eight fields those are shown that take its value, if any does.
    """
    shown = ".".join(map(str, section))
    below = f"{shown}." if shown else ""
    model = model_at(section, language)
    assert model is not None
    names = list(field_forms(model))
    elsewhere = [name for name in sections_with(key, language) if name not in ("", shown)]
    found: list[str] = []
    if elsewhere:
        found.append(f"'{key}' is a field of {join_texts(elsewhere, 'and')}")
    else:
        inner: dict[str, list[str]] = {}
        for at, other in sections(language):
            for name in field_forms(other) if at.startswith(below) else ():
                inner.setdefault(name, []).append(at)
        meant = nearest(key, inner)
        if meant is not None:
            found.append(f"did you mean '{meant}' of {join_texts(inner[meant], 'or')}?")
    fitting = names
    if len(names) > MAX_CHOICES:
        value = to_plain(node)
        is_section = isinstance(value, dict)
        fitting = [
            name
            for name, form in field_forms(model).items()
            if (
                form.model is not None if is_section else accepts((*section, name), value, language)
            )
        ] or names
    if not found or len(names) <= MAX_CHOICES:
        found.append(f"choose {join_texts(fitting, 'or')}")
    return "; ".join(found)


def _first_taken(
    path: Sequence[PathPart], groups: Iterable[Iterable[str]], language: Language
) -> list[str]:
    for group in groups:
        taken = _taken(path, group, language)
        if taken:
            return taken
    return []


def _taken(path: Sequence[PathPart], texts: Iterable[str], language: Language) -> list[str]:
    return [text for text in dict.fromkeys(texts) if accepts(path, read_value(text), language)]


def _candidates(
    path: Sequence[PathPart], value: str | float | bool, raw: str | None, language: Language
) -> Iterator[Iterable[str]]:
    """Yield what may have been meant: of the first group that the field takes, all is shown."""
    if isinstance(value, str):
        yield _numbers(value)
        yield (_LABELS.get(value.lower(), ""),)
        yield from _mappings(path, value, language)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int):
        yield ({0: "false", 1: "true"}.get(value, ""),)
    elif value.is_integer():
        yield (str(int(value)),)
    if raw is not None:
        yield (f'"{raw}"',)
        yield (f"[{raw}]",)
        yield (f'["{raw}"]',)


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers that a text with commas or separators of thousands may mean."""
    plain = _SEPARATORS.sub("", text)
    if not _NUMBER.fullmatch(plain):
        return
    commas, dots = plain.count(","), plain.count(".")
    if commas and dots:
        thousands = "," if plain.rindex(",") < plain.rindex(".") else "."
        plain = plain.replace(thousands, "")
        yield plain.replace(",", ".")
        return
    if commas <= 1:
        yield plain.replace(",", ".")
    if commas + dots and _THOUSANDS.fullmatch(plain) and (commas or dots > 1):
        yield plain.replace(",", "").replace(".", "")


def _mappings(path: Sequence[PathPart], value: str, language: Language) -> Iterator[Iterable[str]]:
    """Yield the sections that a text may mean: `cosine`, `arch resnet18`, `relu`."""
    model = model_at(path, language)
    if model is None:
        return
    forms = field_forms(model)
    yield [f"{{{name}: {value}}}" for name, form in forms.items() if value in form.choices]
    key, _, rest = value.partition(" ")
    if key in forms:
        yield (f"{key}: {rest.strip()}" if rest else f"{{{key}: {{}}}}",)


def raw_text(node: SpecNode, line: str | None) -> str | None:
    """Return a scalar as it is written on its line; None where the line does not show it."""
    if line is None:
        return None
    start = node.location.column - 1
    raw = line[start : start + node.location.length]
    value = cast("Any", read_value(raw))
    return raw if value == node.value and type(value) is type(node.value) else None
