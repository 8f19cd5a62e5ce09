"""Compare the fields of two resolved specs, and say how to get from one to the other.

Labels (name, summary, tags, published figures, reasons for the linter) do not count: the digests
leave them out, too, so that there is no change exactly where the digests are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from wavetwin.explain.diff.alignment import Alignment, align
from wavetwin.ir.section import declaration_of, declared_fields
from wavetwin.ir.starting_weights import StartingWeights

COUNTED = frozenset({"backbone", "stem", "pooling", "data", "training", "weights", "evaluation"})
"""Sections of a resolved spec that the digests cover; all others are labels."""

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a spec."""


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""The value of a field that a spec does not have."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs."""

    path: Path
    """In the second spec; in the first one where the second has no such field."""
    before: Any
    """A plain value, or `ABSENT`; so is `after`."""
    after: Any
    before_path: Path
    """In the first spec: list items may have moved."""

    @property
    def name(self) -> str:
        """The dotted key path."""
        return dotted(self.path)

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is ABSENT:
            return "added"
        return "removed" if self.after is ABSENT else "changed"


@dataclass(frozen=True, slots=True)
class ListAlignment:
    """Which items of a list of mappings are the same ones, where they are not those in order."""

    path: Path
    """Of the list, in the second spec."""
    before_path: Path
    pairs: Alignment


@dataclass(frozen=True, slots=True)
class DeclarationChanges:
    """All that differs between two resolved specs."""

    fields: tuple[FieldChange, ...]
    lists: tuple[ListAlignment, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.lists)


def compare_declarations(before: Mapping[str, Any], after: Mapping[str, Any]) -> DeclarationChanges:
    """Return what differs between two resolved specs as plain values, in schema order."""
    comparison = _Comparison()
    comparison.compare(*_without_locations(_counted(before), _counted(after)), (), ())
    return DeclarationChanges(tuple(comparison.fields), tuple(comparison.lists))


def compare_labels(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the labels that differ."""
    comparison = _Comparison()
    comparison.compare(
        {key: value for key, value in before.items() if key not in COUNTED},
        {key: value for key, value in after.items() if key not in COUNTED},
        (),
        (),
    )
    return tuple(comparison.fields)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each field's path and value; a list of plain values is one value."""
    items = _items(value)
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as `stem.wavelet.keep.0.channels`."""
    return ".".join(map(str, path))


def is_list_of_mappings(value: Any) -> bool:
    """Return whether a value is a list that holds mappings."""
    return isinstance(value, list) and any(
        isinstance(item, dict) for item in cast("list[Any]", value)
    )


def _counted(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key in COUNTED}


def _without_locations(
    before: dict[str, Any], after: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave out where a file of weights lies, if both have the same file."""
    ours, theirs = (side.get("weights", {}) for side in (before, after))
    if not ours or ours.get("sha256") != theirs.get("sha256"):
        return before, after
    locations = {
        each.name for each in declared_fields(StartingWeights) if declaration_of(each).is_location
    }

    def without(side: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
        return side | {
            "weights": {key: value for key, value in weights.items() if key not in locations}
        }

    return without(before, ours), without(after, theirs)


def _items(value: Any) -> list[tuple[str | int, Any]] | None:
    """Return a mapping's or a list's members; None of a value that is compared as a whole."""
    if isinstance(value, dict) and value:
        return list(cast("dict[str | int, Any]", value).items())
    if is_list_of_mappings(value):
        return list(enumerate(cast("list[Any]", value)))
    return None


class _Comparison:
    def __init__(self) -> None:
        self.fields: list[FieldChange] = []
        self.lists: list[ListAlignment] = []

    def compare(self, before: Any, after: Any, before_path: Path, path: Path) -> None:
        if isinstance(before, dict) and isinstance(after, dict):
            self._compare_mappings(
                cast("dict[str, Any]", before), cast("dict[str, Any]", after), before_path, path
            )
        elif _are_lists(before, after):
            self._compare_lists(
                cast("list[Any]", before), cast("list[Any]", after), before_path, path
            )
        elif before is ABSENT or after is ABSENT:
            self._whole(before, after, before_path, path)
        elif before != after or repr(cast("object", before)) != repr(after):  # 2 is not 2.0
            self.fields.append(FieldChange(path, before, after, before_path))

    def _compare_mappings(
        self, before: dict[str, Any], after: dict[str, Any], before_path: Path, path: Path
    ) -> None:
        for key in (*before, *(key for key in after if key not in before)):
            self.compare(
                before.get(key, ABSENT), after.get(key, ABSENT), (*before_path, key), (*path, key)
            )

    def _compare_lists(
        self, before: list[Any], after: list[Any], before_path: Path, path: Path
    ) -> None:
        pairs = _align_items(before, after)
        if any(i != j for i, j in pairs):
            self.lists.append(ListAlignment(path, before_path, pairs))
        for i, j in pairs:
            self.compare(
                ABSENT if i is None else before[i],
                ABSENT if j is None else after[j],
                before_path if i is None else (*before_path, i),
                path if j is None else (*path, j),
            )

    def _whole(self, before: Any, after: Any, before_path: Path, path: Path) -> None:
        """Add every field below a value that only one of the specs has."""
        if before is ABSENT:
            found = leaves(after, path)
            self.fields += [FieldChange(each, ABSENT, value, each) for each, value in found]
        else:
            found = leaves(before, before_path)
            self.fields += [FieldChange(each, value, ABSENT, each) for each, value in found]


def _are_lists(before: Any, after: Any) -> bool:
    """Return whether two lists are compared item by item: one of mappings may be empty."""
    if not (isinstance(before, list) and isinstance(after, list)):
        return False
    return is_list_of_mappings(before) or is_list_of_mappings(after)


def _align_items(before: list[Any], after: list[Any]) -> Alignment:
    """Pair items by position where there are as many of both kinds in order, else by likeness."""
    if len(before) == len(after) and all(map(_same_kind, before, after)):
        return tuple((i, i) for i in range(len(before)))
    return align(before, after, _likeness)


def _same_kind(first: Any, second: Any) -> bool:
    """Return whether two items can be one that was changed: of the same mode, or the same kind of layer."""
    if "mode" in first or "mode" in second:
        return first.get("mode") == second.get("mode")
    if "channels" in first or "channels" in second:
        return True
    return first.keys() == second.keys()


def _likeness(first: Any, second: Any) -> float:
    if not _same_kind(first, second):
        return 0.0
    if first == second:
        return 3.0
    ours, theirs = dict(leaves(first)), dict(leaves(second))
    equal = sum(1 for path, value in ours.items() if path in theirs and theirs[path] == value)
    return 1.0 + equal / max(len(ours), len(theirs))
