"""Describe the documents of a run folder, for everybody who reads one; imports no torch."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = ["DAMAGED", "BuildRecord", "EpochLine", "RunManifest", "StartSummary"]

DAMAGED = "bring back the file as it was, or train another run with --new"
"""What to do where a run's own file is not whole."""


class Session(TypedDict):
    """One start of a run's script."""

    first_step: NotRequired[int | None]
    last_step: NotRequired[int | None]
    started: NotRequired[str | None]
    ended: NotRequired[str | None]
    outcome: NotRequired[str | None]
    fault: NotRequired[str]
    command: NotRequired[list[str] | None]
    machine: NotRequired[dict[str, Any] | None]
    launch: NotRequired[dict[str, Any] | None]


class SourceRecord(TypedDict):
    """Where the spec or wavetwin is from."""

    role: NotRequired[str]
    version: NotRequired[str | None]
    commit: NotRequired[str | None]
    dirty: NotRequired[bool]
    package_digest: NotRequired[str | None]


class StartSummary(TypedDict):
    """What a run started from, in short; `starting_weights.json` has all of it."""

    file: str
    sha256: str
    loaded: int
    parameters: int
    fresh: list[str]
    left_over: int
    skipped: int
    projection_errors: NotRequired[list[float]]


class RunManifest(TypedDict):
    """manifest.json of a run."""

    wavetwin_run: Literal[1]
    name: str
    run: str
    status: str
    digest: str
    training_digest: str
    model_digest: NotRequired[str]
    seed: int
    limit_batches: NotRequired[int | None]
    commit: str | None
    dirty: bool
    git: NotRequired[bool]
    drift: list[str]
    bad_images: NotRequired[dict[str, Any]]
    build_manifest_sha256: str | None
    sources: NotRequired[list[SourceRecord]]
    parameters: dict[str, int]
    macs: int
    training_seconds: float | None
    stopped_early: NotRequired[int]
    starting_weights: NotRequired[StartSummary]
    lives: NotRequired[list[Session]]
    class_names: NotRequired[list[str] | None]


class EpochValues(TypedDict):
    """Means over the images of an epoch."""

    loss: float
    top1_error: float
    top5_error: NotRequired[float]


class EpochTime(TypedDict):
    """What an epoch took."""

    seconds: float


class EpochLine(TypedDict):
    """A line of metrics.jsonl that closes an epoch."""

    kind: Literal["epoch"]
    epoch: int
    train: EpochValues | None
    validation: EpochValues | None
    average: NotRequired[EpochValues]
    time: EpochTime


class BuildRecord(TypedDict):
    """build.json: the manifest of the build that a run is of."""

    spec: NotRequired[str]
    overrides: NotRequired[list[str]]
    passes: NotRequired[list[str]]
    versions: NotRequired[dict[str, str | None] | None]
    sources: NotRequired[list[SourceRecord]]
