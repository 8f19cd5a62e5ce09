"""Record what a run started from: what was loaded, what began anew, and what was left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from wavetwin.diagnostics.listing import list_some

__all__ = ["START_FILE", "ProjectedChannel", "StartRecord"]

START_FILE = "starting_weights.json"
"""In the run's folder."""


@dataclass(frozen=True, slots=True)
class ProjectedChannel:
    """A wavelet channel, and the channel of the CNN that it is fitted to."""

    channel: int
    """Its number among the first layer's channels, the free ones counted before it."""
    source: int
    """The number of the CNN's."""
    error: float
    """L2 norm of the kernels' difference, relative to the CNN's kernel; 0 where that is 0."""


@dataclass(frozen=True, slots=True)
class StartRecord:
    """What a run says of the weights that it started from."""

    weights: str
    """What the spec asked for, as text."""
    file: str
    sha256: str
    notes: tuple[str, ...]
    """What was chosen from the file, and taken off its names."""
    loaded: tuple[str, ...]
    """The network's tensors."""
    num_parameters: int
    """Numbers in them; running statistics are none."""
    fresh: tuple[str, ...]
    """The network's tensors that begin as they do without weights."""
    left_over: tuple[str, ...]
    """The file's tensors that nothing took, by the file's names."""
    mismatches: tuple[str, ...]
    """What was asked for and does not agree; empty where that is an error."""
    order: tuple[int, ...] = ()
    """Of a projected first layer: for each channel the CNN's."""
    channels: tuple[ProjectedChannel, ...] = ()
    """The wavelet channels of a projected first layer."""

    def lines(self) -> Iterator[str]:
        """Yield what a person reads as the run starts."""
        yield (
            f"weights: {len(self.loaded)} tensors of {self.weights}, {self.num_parameters:,} parameters"
        )
        for note in self.notes:
            yield f"  of the file: {note}"
        if self.fresh:
            yield f"  begins anew: {list_some(_modules(self.fresh))}"
        if self.left_over:
            yield f"  left in the file: {list_some(self.left_over)}"
        if self.mismatches:
            yield f"  skipped: {list_some(self.mismatches, '; ')}"
        if self.channels:
            errors = [each.error for each in self.channels]
            yield (
                f"  {len(errors)} wavelet channels fitted: relative errors of {min(errors):.3f} to "
                f"{max(errors):.3f}, median {median(errors):.3f}"
            )

    def summary(self) -> dict[str, Any]:
        """Return what the run's manifest has."""
        found: dict[str, Any] = {
            "file": self.file,
            "sha256": self.sha256,
            "loaded": len(self.loaded),
            "parameters": self.num_parameters,
            "fresh": list(_modules(self.fresh)),
            "left_over": len(self.left_over),
            "skipped": len(self.mismatches),
        }
        if self.channels:
            found["projection_errors"] = [each.error for each in self.channels]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        document: dict[str, Any] = {
            "weights": self.weights,
            "file": self.file,
            "sha256": self.sha256,
            "notes": list(self.notes),
            "parameters": self.num_parameters,
            "loaded": list(self.loaded),
            "fresh": list(self.fresh),
            "left_over": list(self.left_over),
            "skipped": list(self.mismatches),
        }
        if self.channels:
            document["channel_order"] = list(self.order)
            document["projected"] = [
                {"channel": each.channel, "source": each.source, "error": each.error}
                for each in self.channels
            ]
        return document


def _modules(names: Iterable[str]) -> Iterable[str]:
    """Return the modules that tensors are of, each once."""
    return dict.fromkeys(name.rpartition(".")[0] for name in names)
