"""List or count several things in a message, alike everywhere, however many there are."""

from __future__ import annotations

from collections.abc import Iterable

from wavetwin.diagnostics.terminal import printable

__all__ = ["SHOWN", "list_some", "plural", "some_lines"]

SHOWN = 8
"""Items that a message names before it counts the rest."""


def plural(number: int, noun: str) -> str:
    """Return `1 layer` or `2 layers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def list_some(items: Iterable[str], separator: str = ", ") -> str:
    """Return the first eight items in one line, and how many more there are."""
    every = list(items)
    text = separator.join(map(printable, every[:SHOWN]))
    return text if len(every) <= SHOWN else f"{text} and {len(every) - SHOWN} more"


def some_lines(items: Iterable[str]) -> list[str]:
    """Return the first eight items, a line each, and a line that says how many more there are."""
    every = list(items)
    more = [f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
    return every[:SHOWN] + more
