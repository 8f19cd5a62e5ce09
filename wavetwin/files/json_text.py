"""Read JSON that somebody else may have written; standard library only."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]

MAX_DEPTH = 100
"""Lists and objects inside each other; the deepest document of ours has some ten."""


def parse_json(text: str | bytes) -> Any:
    """Return a JSON document's value.

    Raises:
        ValueError: it is no JSON, or so deep that whatever walks through it would run out of stack.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(_too_deep())
        level = [item for value in level for item in _items(value)]
    return value


def _items(value: Any) -> list[Any]:
    """Return the lists and objects directly inside a list or an object."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict | list)]


def _too_deep() -> str:
    return f"it is nested more than {MAX_DEPTH} deep"
