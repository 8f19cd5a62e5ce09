"""Suggest the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_CHOICES = 8
"""More choices than this are not listed."""


def distance(first: str, second: str) -> int:
    """Return the number of edits between two words; swapping two neighbours counts as one."""
    before: list[int] = []
    last = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        row = [i]
        for j, right in enumerate(second, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == second[j - 2] and first[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the nearest of the names, where it is near enough to be meant.

    Near: at most two edits, a third of the word at most; or one is the other's beginning, or its
    last words. Case and the choice of `-`, `_` or a space do not count.
    """
    plain = _plain(word)
    best: tuple[int, int, str] | None = None
    for position, name in enumerate(names):
        other = _plain(name)
        if abs(len(other) - len(plain)) > 2:
            continue
        edits = distance(plain, other)
        is_near = edits <= min(2, max(1, max(len(plain), len(other)) // 3))
        if is_near and (best is None or (edits, position) < best[:2]):
            best = (edits, position, name)
    if best is not None:
        return best[2]
    for is_alike in (_starts_alike, _ends_alike):
        alike = [name for name in names if is_alike(plain, _plain(name))]
        if len(alike) == 1:
            return alike[0]
    return None


def suggest(word: str, names: Sequence[str]) -> str | None:
    """Return a help: the nearest name, or the choices where they are few; None for neither."""
    name = nearest(word, names)
    if name is not None:
        return f"did you mean '{name}'?"
    if 0 < len(names) <= MAX_CHOICES:
        return "choose " + join_texts(names, "or")
    return None


def join_texts(parts: Sequence[str], conjunction: str) -> str:
    """Return `a, b or c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {conjunction} {parts[-1]}"


def _plain(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def _starts_alike(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) >= 3 and longer.startswith(shorter)


def _ends_alike(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) >= 3 and longer.endswith("_" + shorter)
