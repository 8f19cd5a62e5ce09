"""Define a fault of fields that do not go together, as a declared kind finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from wavetwin.ir.frozen import frozen

__all__ = ["FieldFault"]


@frozen
class FieldFault:
    """Fields of a kind that do not go together."""

    code: str
    """Of the diagnostic."""
    headline: str
    fields: tuple[str, ...]
    """Those that do not go together, the one at fault first."""
    help: str | None = None
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    """What fields that are not given are taken as."""
