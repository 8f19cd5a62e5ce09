"""Hold the result of a study before it is written anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.explain.study.rows import Table

__all__ = ["Picture", "Result"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page, and a file of its own where it has a name."""

    caption: str
    content: str | bytes
    """An `<svg>` element, or the bytes of a PNG."""
    name: str | None = None
    """Of its file, without the ending."""

    @property
    def file_name(self) -> str | None:
        """The name of its file; None where it is of the page only."""
        ending = "svg" if isinstance(self.content, str) else "png"
        return None if self.name is None else f"{self.name}.{ending}"


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that one study gives."""

    study: str
    """`discrepancy`, `stability`, `kernels` or `sparse`."""
    title: str
    notes: Sequence[str]
    """What a reader has to know, a paragraph each."""
    summaries: Sequence[Table]
    """Short tables: on the terminal, on the page, and as CSV."""
    tables: Sequence[Table]
    """Long ones, as CSV only."""
    pictures: Sequence[Picture]
    protocol: Mapping[str, Any]
    """How it was measured; JSON values."""
    images: Sequence[Mapping[str, Any]] = ()
    """Name, file, SHA-256 and window of each."""
    inputs: Sequence[Mapping[str, Any]] = ()
    """Specs, runs and weights, by name and SHA-256 or digest."""
