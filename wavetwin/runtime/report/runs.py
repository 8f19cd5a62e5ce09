"""What a report reads of one run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.runtime.current_scores import Record, current_records
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.json_files import read_json
from wavetwin.runtime.records import read_lines
from wavetwin.runtime.score_book import read_scores

__all__ = ["Record", "Run", "read_run"]


@dataclass(frozen=True)
class Run:
    """A run: its documents, its current scores, its epochs."""

    folder: Path
    manifest: dict[str, Any]
    plan: dict[str, Any]
    scores: list[Record]
    """The record of each entry that counts, in the order in which the entries were first scored."""
    epochs: list[dict[str, Any]]
    """The lines of metrics.jsonl that close an epoch."""

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.manifest["name"]

    @property
    def label(self) -> str:
        """Experiment and run."""
        return f"{self.name} ({self.manifest['run']})"

    @property
    def seed(self) -> int:
        """The seed of everything random in it."""
        return self.manifest["seed"]

    @property
    def trial(self) -> str:
        """What the run's folder name says after the seed: empty, or that it is a trial.

        A run over a few batches is named after their number; the number of `--new` does not count.
        """
        stem = f"{self.manifest['training_digest'][:8]}-s{self.seed}"
        word = self.manifest["run"].removeprefix(stem).split("-")
        return next((part for part in word if part.startswith("limit")), "")


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        RunError: it is not a run, or a file in it is missing or damaged.
    """
    if not (folder / "manifest.json").is_file():
        raise RunError(
            f"{folder} is not a run: it has no manifest.json",
            "name a folder below runs/, such as runs/<name>/<run>",
        )
    manifest = read_json(folder / "manifest.json")
    if manifest.get("wavetwin_run") != 1:
        raise RunError(
            f"{folder} is not a run of this version of wavetwin",
            "name a folder below runs/, such as runs/<name>/<run>",
        )
    if not (folder / "plan.json").is_file():
        raise RunError(
            f"{folder} is not whole: it has no plan.json",
            "copy it from the folder that the run was built in",
        )
    metrics = folder / "metrics.jsonl"
    try:
        epochs = [line for line in read_lines(metrics) if line["kind"] == "epoch"]
    except (json.JSONDecodeError, KeyError) as error:
        raise RunError(f"{metrics} cannot be read: {error}") from error
    scores = current_records(read_scores(folder / "scores.json"))
    return Run(folder, manifest, read_json(folder / "plan.json"), scores, epochs)
