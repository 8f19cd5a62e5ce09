"""Write the numbers and values of a difference as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from wavetwin.explain.diff.declaration import ABSENT

MAX_VALUE = 48
"""Characters of a value that a short answer shows."""


def signed(number: int) -> str:
    """Return a difference with its sign: `+1,024`; `0` for none."""
    return f"{number:+,}" if number else "0"


def percent(before: float, after: float) -> str:
    """Return a relative change: `+2.5 %`; empty where there is nothing to relate it to."""
    if not before or before == after:
        return ""
    change = 100 * (after - before) / before
    if abs(change) < 0.1:
        return f"{change:+.1g} %"
    return f"{change:+.1f} %" if abs(change) < 1000 else f"x {after / before:.3g}"


def share_text(share: float) -> str:
    """Return a share: `12.5 %`."""
    return f"{100 * share:.3g} %"


def change(before: int, after: int) -> str:
    """Return two counts: `23,296 -> 11,889 (-49.0 %)`; `the same 32`, or `no`, of equal ones."""
    if before == after:
        return f"the same {after:,}" if after else "no"
    relative = percent(before, after)
    return f"{before:,} -> {after:,}" + (f" ({relative})" if relative else "")


def mebibytes(before: int, after: int) -> str:
    """Return two amounts of memory: `12.8 -> 16.1 MiB (+26.3 %)`, or `the same 12.8 MiB`.

    Where both are small, in KiB.
    """
    size, unit = (2**20, "MiB") if max(before, after) >= 2**20 else (2**10, "KiB")
    if before == after:
        return f"the same {after / size:.1f} {unit}"
    relative = percent(before, after)
    text = f"{before / size:.1f} -> {after / size:.1f} {unit}"
    return text + (f" ({relative})" if relative else "")


def value_text(value: Any, *, full: bool = False) -> str:
    """Return a plain value as a spec writes it; a long one is cut unless `full`."""
    if value is ABSENT:
        return "absent"
    text = _flow(value)
    if full or len(text) <= MAX_VALUE:
        return text
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return f"{text[: MAX_VALUE - 16].rsplit(', ', 1)[0]}, ...] ({len(items)} in all)"
    return f"{text[: MAX_VALUE - 4]} ..."


def shape_text(shape: Sequence[int], is_complex: bool = False) -> str:
    """Return a shape for a reader: `32 x 57 x 57 complex`."""
    return " x ".join(map(str, shape)) + (" complex" if is_complex else "")


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in members.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, cast("Sequence[Any]", value))) + "]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
