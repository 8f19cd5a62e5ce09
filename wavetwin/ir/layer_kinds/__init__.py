"""List the kinds of layers that `backbone.layers` takes: found by being in a module of this package.

A module has `LAYER_KINDS`, a tuple of classes derived from `LayerKind` (docs/adding.md).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from wavetwin.ir.layer_kind import LayerKind

__all__ = ["known_layers"]


@cache
def known_layers() -> dict[str, type[LayerKind]]:
    """Return the kinds by the keys of items; most specs list no layers, and do not wait for them."""
    found: dict[str, type[LayerKind]] = {}
    for module in sorted(each.name for each in iter_modules(__path__)):
        kinds = import_module(f"{__name__}.{module}").LAYER_KINDS
        for kind in cast("tuple[type[LayerKind], ...]", kinds):
            assert kind.key not in found, kind.key
            found[kind.key] = kind
    return dict(sorted(found.items(), key=_rank))


def _rank(entry: tuple[str, type[LayerKind]]) -> tuple[bool, int, str]:
    """Return what the table is sorted by: layers and their followers, in their order, then others."""
    key, kind = entry
    follows = 0 if kind.takes_followers else kind.follows
    return follows is None, follows or 0, key
