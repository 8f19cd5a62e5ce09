"""Name the folders that builds of `--set` variants go to, so that a reader knows them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["build_name", "variant_label"]

_VALUE = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)
_LONGEST = 60
"""Characters of a label; the name before it may have 64, and file systems end at 255."""


def variant_label(overrides: Sequence[object]) -> str:
    """Return what overrides say, short and as a part of a file's name: `epochs=5,lr=0.01`.

    Empty where a value is no plain word or number, or all of it is long.
    """
    parts: list[str] = []
    for override in overrides:
        key, _, value = str(override).partition("=")
        if not _VALUE.fullmatch(value.strip()):
            return ""
        parts.append(f"{key.rpartition('.')[2]}={value.strip()}")
    label = ",".join(parts)
    return label if len(label) <= _LONGEST else ""


def build_name(name: str, digest: str, overrides: Sequence[object]) -> str:
    """Return the name of the folder in `generated/` that an experiment is built to.

    The digest tells apart what the label does not: two sections may have a field of one name.
    """
    if not overrides:
        return name
    label = variant_label(overrides)
    return f"{name}@{label}-{digest[:8]}" if label else f"{name}@{digest[:8]}"
