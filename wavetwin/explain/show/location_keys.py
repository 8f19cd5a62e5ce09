"""Shorten locations by keys for their files, so that many fit in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_lowercase


def file_keys(locations: Iterable[str]) -> dict[str, str]:
    """Return a letter for each file, in the order in which they appear.

    Args:
        locations: `path:line` each.
    """
    paths = dict.fromkeys(location.rpartition(":")[0] for location in locations)
    return {path: _key(number) for number, path in enumerate(paths)}


def short_locations(locations: Iterable[str], keys: Mapping[str, str]) -> str:
    """Return locations as `b5,9 c12`: lines 5 and 9 of file b and line 12 of file c."""
    lines: dict[str, set[int]] = {}
    for location in locations:
        path, _, line = location.rpartition(":")
        lines.setdefault(keys[path], set()).add(int(line))
    return " ".join(key + ",".join(map(str, sorted(numbers))) for key, numbers in lines.items())


def _key(number: int) -> str:
    more, last = divmod(number, len(ascii_lowercase))
    return (_key(more - 1) if more else "") + ascii_lowercase[last]
