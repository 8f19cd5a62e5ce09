"""Find the data sets that the language knows by name: a module a layout, known by being here.

A module of this package has `DATASETS`, a tuple of rows (docs/adding.md).
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar, cast

from wavetwin.ir.dataset import Dataset

__all__ = ["DATASETS", "find_dataset"]

_LISTED_FIRST = ("imagenet", "cifar", "tiny_imagenet", "mnist", "digits")
"""Modules whose rows editors offer first; the others follow by name."""

Kind = TypeVar("Kind", bound=Dataset)


def _find() -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    modules = sorted(each.name for each in iter_modules(__path__))
    for module in (*_LISTED_FIRST, *(name for name in modules if name not in _LISTED_FIRST)):
        rows = import_module(f"{__name__}.{module}").DATASETS
        for row in cast("tuple[Dataset, ...]", rows):
            assert row.name not in found, row.name
            found[row.name] = row
    return found


DATASETS = _find()
"""By their names. Sources: the data sets' own pages and torchvision's readers."""


def find_dataset(name: str, kind: type[Kind]) -> Kind:
    """Return the row of a name, whose layout a reader of this kind knows."""
    row = DATASETS[name]
    assert isinstance(row, kind), name
    return row
