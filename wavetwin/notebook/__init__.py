"""Serve notebooks: runs as objects, training and evaluation as functions, answers as HTML.

`import wavetwin` names them; their modules are imported where they are called, and torch with runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and on what a script runs: options that change no experiment (docs/running.md)."""

    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto: the best one that there is."""
    data_root: Path | str | None = None
    """Where the data sets lie."""
    runs: Path | str | None = None
    """Where runs are kept; None: the project's `runs/`."""
    workers: int | None = None
    """Processes that read image files; None: by the number of cores."""
    limit_batches: int | None = None
    """Try out: so many batches an epoch; such a run is marked as a trial."""
    on_bad_image: str = "stop"
    """What a damaged image does: `stop` or `skip`."""
    allow_other_data: bool = False
    """Take files that are not the official ones, and mark the run."""
    allow_dirty: bool = False
    """Build from uncommitted changes, which are stored and mark the run."""
    no_git: bool = False
    """Build outside a git repository."""
