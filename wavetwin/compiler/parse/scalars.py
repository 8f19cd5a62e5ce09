"""Decide what a plain scalar means, by the YAML 1.2 core schema and nothing else."""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

MAX_NUMBER_LENGTH = 64
"""Characters of a number; more are refused before anything is computed from them."""

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool | float | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    **{
        sign + word: float(sign + "inf")
        for sign in ("", "+", "-")
        for word in (".inf", ".Inf", ".INF")
    },
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def resolve_scalar(text: str) -> Scalar:
    """Return what a plain scalar means in the YAML 1.2 core schema.

    Numbers of more than `MAX_NUMBER_LENGTH` characters have to be refused by the caller.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    return text


def is_long_number(text: str) -> bool:
    """Return whether a plain scalar is a number of more than `MAX_NUMBER_LENGTH` characters."""
    return len(text) > MAX_NUMBER_LENGTH and any(
        form.fullmatch(text) for form in (_FLOAT, _OCTAL, _HEXADECIMAL)
    )
