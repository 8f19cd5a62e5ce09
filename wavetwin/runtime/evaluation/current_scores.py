"""Decide which record of an entry counts, where a scores file has several; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from wavetwin.ir.evaluations import comparison_key
from wavetwin.runtime.evaluation.score_records import Record

__all__ = ["Record", "current_records"]


def current_records(records: Iterable[Record]) -> list[Record]:
    """Return of each entry the record that counts, in the order of the entries' first records.

    A whole evaluation counts before one over a few batches, the last weights before `best` and
    snapshots, later epochs before earlier ones, all images before some skipped; of several alike, the
    latest. Entries that give the same predictions count as one. So a trial does not take the place of a result.

    Args:
        records: of one scores file, the oldest first.
    """
    current: dict[str, Record] = {}
    for record in records:
        key = comparison_key(record["entry"])
        if key not in current or _shortcomings(record) <= _shortcomings(current[key]):
            current[key] = record
    return list(current.values())


def _shortcomings(record: Record) -> tuple[bool, bool, int, bool]:
    """Return what keeps a record from being the result, the gravest first."""
    return (
        record.get("limit_batches") is not None,
        record.get("checkpoint", "last") != "last",
        -int(record.get("epochs") or 0),
        bool(record.get("skipped")),
    )
