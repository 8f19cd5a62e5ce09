"""Define nodes: what one text holds, as values that know where they stand."""

from __future__ import annotations

from typing import Any, Literal

from wavetwin.compiler.parse.scalars import Scalar
from wavetwin.compiler.parse.source import Source
from wavetwin.diagnostics import Diagnostic, Location
from wavetwin.ir.frozen import frozen


@frozen
class SpecNode:
    """One value of a spec and where it stands."""

    value: dict[str, SpecNode] | list[SpecNode] | Scalar
    location: Location
    key_location: Location | None = None
    """Of the key that the value belongs to; None in a list and at the top."""
    left_out: Literal["", "value", "colon"] = ""
    """What is not written: nothing, a null's value (`key:`), or even the colon (`{key}`)."""


@frozen
class ParsedSource:
    """What one text holds, and what is wrong with it."""

    source: Source
    tree: SpecNode | None
    """The top mapping; None where there is none."""
    diagnostics: tuple[Diagnostic, ...] = ()
    reliable_lines: int | None = None
    """After a syntax error: the number of lines before it. None: all are to be trusted."""


def to_plain(node: SpecNode) -> Any:
    """Return a node as plain values; what a mapping gives as null is left out."""
    value = node.value
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items() if item.value is not None}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value
