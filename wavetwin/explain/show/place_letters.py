"""Place letters: short names for the files that places lie in, so that many places fit in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_lowercase


def file_letters(places: Iterable[str]) -> dict[str, str]:
    """Return a letter for each file, in the order in which they appear.

    Args:
        places: `path:line` each.
    """
    paths = dict.fromkeys(place.rpartition(":")[0] for place in places)
    return {path: _letter(number) for number, path in enumerate(paths)}


def short_places(places: Iterable[str], letters: Mapping[str, str]) -> str:
    """Return places as `b5,9 c12`: lines 5 and 9 of file b and line 12 of file c."""
    lines: dict[str, set[int]] = {}
    for place in places:
        path, _, line = place.rpartition(":")
        lines.setdefault(letters[path], set()).add(int(line))
    return " ".join(
        letter + ",".join(map(str, sorted(numbers))) for letter, numbers in lines.items()
    )


def _letter(number: int) -> str:
    more, last = divmod(number, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]
