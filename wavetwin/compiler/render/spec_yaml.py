"""Write a resolved spec as YAML: spec.lock.yaml, which reads back as the same values.

Written by hand and not by a YAML library: the bytes must not change with a library's version, and
numbers must read the same by YAML 1.1 and 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
# What YAML 1.1 or 1.2 reads as something else than text.
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump_spec(document: Mapping[str, Any]) -> str:
    """Return the YAML text of a mapping of plain JSON values, keys in their order.

    Raises:
        TypeError: a value that is no JSON value, or None: in a spec null removes a field.
    """
    return "".join(f"{line}\n" for line in _mapping_lines(document, 0))


def flow_text(value: Any) -> str:
    """Return a value of a spec on one line, in brackets where it has parts, as `--set` takes it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{_scalar(key)}: {flow_text(each)}" for key, each in members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow_text, cast("list[Any]", value))) + "]"
    return _scalar(value)


def _mapping_lines(mapping: Mapping[str, Any], indent: int) -> list[str]:
    lines: list[str] = []
    margin = " " * indent
    for key, value in mapping.items():
        name = f"{margin}{_scalar(key)}:"
        if isinstance(value, Mapping) and value:
            lines.append(name)
            lines += _mapping_lines(cast("Mapping[str, Any]", value), indent + 2)
        elif _is_block_list(cast("object", value)):
            lines.append(name)
            lines += _block_list_lines(cast("Sequence[Any]", value), indent + 2)
        else:
            lines += _wrapped(f"{name} ", _flow_items(value), indent + 2)
    return lines


def _block_list_lines(items: Sequence[Any], indent: int) -> list[str]:
    lines: list[str] = []
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *others = _mapping_lines(cast("Mapping[str, Any]", item), indent + 2)
            lines += [f"{' ' * indent}- {first.lstrip(' ')}", *others]
        else:
            lines += _wrapped(f"{' ' * indent}- ", _flow_items(item), indent + 4)
    return lines


def _is_block_list(value: object) -> bool:
    return isinstance(value, list) and any(
        isinstance(item, Mapping | list) for item in cast("list[Any]", value)
    )


def _flow_items(value: Any) -> list[str]:
    """Return a value that fits on lines as the pieces between which a line may break."""
    if isinstance(value, list):
        items = [_scalar(item) for item in cast("list[Any]", value)]
        if not items:
            return ["[]"]
        items[0] = f"[{items[0]}"
        return [f"{item}," for item in items[:-1]] + [f"{items[-1]}]"]
    return ["{}"] if isinstance(value, Mapping) else [_scalar(value)]


def _wrapped(start: str, pieces: Sequence[str], indent: int) -> list[str]:
    lines: list[str] = []
    current = start + pieces[0]
    for piece in pieces[1:]:
        if len(current) + 1 + len(piece) > _WIDTH:
            lines.append(current)
            current = " " * indent + piece
        else:
            current = f"{current} {piece}"
    return [*lines, current]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        mantissa, exponent, power = text.partition("e")
        # YAML 1.1 wants a point before the exponent, and a sign in it, which repr gives.
        return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else text
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _RESERVED
        return value if is_plain else f'"{"".join(_escaped(letter) for letter in value)}"'
    raise TypeError(f"not a value of a resolved spec: {value!r}")


def _escaped(letter: str) -> str:
    number = ord(letter)
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    # A fixed range, and not str.isprintable, which changes with Python's version.
    if 0x20 <= number < 0x7F or (0xA1 <= number < 0x250 and number != 0xAD):
        return letter
    if number < 0x100:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
