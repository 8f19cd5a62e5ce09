"""List several things in a message, alike everywhere, however many there are."""

from __future__ import annotations

from collections.abc import Iterable

from wavetwin.diagnostics.terminal import printable

__all__ = ["SHOWN", "list_some"]

SHOWN = 8
"""Items that a message names before it counts the rest."""


def list_some(items: Iterable[str], separator: str = ", ") -> str:
    """Return the first eight items in one line, and how many more there are."""
    every = list(items)
    text = separator.join(map(printable, every[:SHOWN]))
    return text if len(every) <= SHOWN else f"{text} and {len(every) - SHOWN} more"
