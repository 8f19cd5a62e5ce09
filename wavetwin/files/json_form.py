"""Hold a JSON document against annotations, before anybody reads a field of it; standard library only.

An annotation may be `bool`, `int`, `float` (which an integer is, too), `str`, `None`, a `Literal`, a
union, `list[X]`, `tuple[X, ...]`, `tuple[X, Y]` (both written as JSON arrays), `dict[str, X]`,
`Mapping[str, X]`, a `TypedDict` (other members may be there, too), a dataclass (fields with a default may be
missing, others are refused: it could not be made with them), or `Any`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, NotRequired, Union, cast, get_args, get_origin, get_type_hints

__all__ = ["FormError", "check_form"]

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    types.NoneType: "null",
}
_LARGEST = 2**64
"""Seeds of streams have 64 bits; nothing of ours has more."""


class FormError(ValueError):
    """A document has another form: the message says which member, what it is and what is needed."""


def check_form(value: object, form: Any, at: str = "") -> None:
    """Compare a parsed document with an annotation.

    Args:
        value: the document, or a member of it.
        form: the annotation.
        at: the member's location, such as `scores[0].entry`.

    Raises:
        FormError: a member is missing, of another kind, or one that a dataclass lacks, a whole number has
            more than 64 bits, or a text is not Unicode.
    """
    origin = get_origin(form)
    if form is Any or form is object:
        _check_texts(value, at)
    elif origin in (Union, types.UnionType):
        _check_union(value, get_args(form), at)
    elif origin is Literal:
        if not any(value == each and type(value) is type(each) for each in get_args(form)):
            raise _wrong(at, value, " or ".join(map(repr, get_args(form))))
    elif origin in (list, tuple):
        _check_list(value, get_args(form), at, is_tuple=origin is tuple)
    elif origin in (dict, Mapping):
        for key, item in _object(value, at).items():
            _check_texts(key, at)
            check_form(item, get_args(form)[1], _member(at, key))
    elif hasattr(form, "__total__") or is_dataclass(form):
        _check_members(_object(value, at), form, at)
    else:
        _check_single(value, form, at)


def _check_union(value: object, forms: tuple[Any, ...], at: str) -> None:
    faults: list[FormError] = []
    for form in forms:
        try:
            return check_form(value, form, at)
        except FormError as fault:
            faults.append(fault)
    # Of several faults the deepest is of the form that was meant.
    if isinstance(value, dict | list):
        raise max(faults, key=lambda fault: len(str(fault).split(":")[0]))
    raise _wrong(at, value, " or ".join(_name(form) for form in forms))


def _check_list(value: object, forms: tuple[Any, ...], at: str, *, is_tuple: bool) -> None:
    if not isinstance(value, list):
        raise _wrong(at, value, _NAMES[list])
    items = cast("list[object]", value)
    if is_tuple and forms[-1] is not Ellipsis:
        if len(items) != len(forms):
            raise FormError(
                f"{_shown(at)}: a list of {len(forms)} is needed, this has {len(items)}"
            )
    else:
        forms = forms[:1] * len(items)
    for number, (item, form) in enumerate(zip(items, forms, strict=True)):
        check_form(item, form, f"{at}[{number}]")


def _check_members(members: dict[str, object], form: Any, at: str) -> None:
    for name, (hint, is_required) in _members_of(form).items():
        if name in members:
            check_form(members[name], hint, _member(at, name))
        elif is_required:
            raise FormError(f"{_shown(_member(at, name))} is missing")
    for name in sorted(members.keys() - _members_of(form).keys()):
        if is_dataclass(form):
            raise FormError(f"{_shown(_member(at, name))} is not known")
        _check_texts(members[name], _member(at, name))


@cache
def _members_of(form: Any) -> dict[str, tuple[Any, bool]]:
    """Return annotation and whether it is required of each member of a TypedDict or dataclass."""
    hints = get_type_hints(form, include_extras=True)
    if is_dataclass(form):
        return {each.name: (hints[each.name], each.default is MISSING) for each in fields(form)}
    found: dict[str, tuple[Any, bool]] = {}
    for name, hint in hints.items():
        is_optional = get_origin(hint) is NotRequired
        found[name] = (get_args(hint)[0] if is_optional else hint, not is_optional)
    return found


def _check_single(value: object, form: Any, at: str) -> None:
    kinds = {float: (int, float), None: (types.NoneType,)}.get(form, (form,))
    if type(value) not in kinds:
        raise _wrong(at, value, _name(form))
    _check_texts(value, at)


def _check_texts(value: object, at: str) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FormError(f"{_shown(at)}: {value!a} is not Unicode") from None
    elif isinstance(value, int) and abs(value) >= _LARGEST:
        raise FormError(f"{_shown(at)}: a number of more than 64 bits")
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[object]", value)):
            _check_texts(item, f"{at}[{number}]")
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            _check_texts(key, at)
            _check_texts(item, _member(at, key))


def _object(value: object, at: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(at, value, _NAMES[dict])
    return cast("dict[str, object]", value)


def _wrong(at: str, value: object, wanted: str) -> FormError:
    return FormError(f"{_shown(at)}: {wanted} is needed, this is {_NAMES[type(value)]}")


def _name(form: Any) -> str:
    origin = get_origin(form)
    if origin is Literal:
        return " or ".join(map(repr, get_args(form)))
    if form is None:
        return "null"
    return _NAMES.get(origin or form, _NAMES[dict])


def _member(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shown(at: str) -> str:
    return at.encode("ascii", "backslashreplace").decode() or "the document"
