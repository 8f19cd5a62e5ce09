"""Read what a report needs of one run folder, or of a scores file of weights without a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wavetwin.files.json_form import FormError
from wavetwin.ir.evaluations import Evaluation, read_entry
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.evaluation.current_scores import Record, current_records
from wavetwin.runtime.evaluation.score_records import check_scores_of_weights
from wavetwin.runtime.evaluation.scores_file import read_scores
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json
from wavetwin.runtime.training.records import read_epochs
from wavetwin.runtime.training.run_documents import BuildRecord, RunManifest
from wavetwin.runtime.training.run_names import trial_mark

__all__ = [
    "Record",
    "Run",
    "build_of",
    "entry_of",
    "graph_of",
    "is_source",
    "read_run",
    "read_source",
]

_REMEDY = "name a folder below runs/, such as runs/<name>/<run>"
_COPY_AGAIN = "copy it from the folder that the run was built in"


@dataclass(frozen=True)
class Run:
    """A run: its documents, its current scores, its epochs.

    Or scores alone: then there is no plan, no epoch and no seed, and the manifest has what the
    records say.
    """

    folder: Path
    """What the records' paths are relative to."""
    manifest: dict[str, Any]
    plan: TrainingPlan | None
    scores: list[Record]
    """The record of each entry that counts, in the order in which the entries were first scored."""
    epochs: list[dict[str, Any]]
    """The lines of metrics.jsonl that close an epoch."""
    given_label: str = ""
    """What a reader wants it to be called; empty: experiment and run."""

    @property
    def name(self) -> str:
        """The experiment's name; of weights without a run, their file's."""
        return self.manifest["name"]

    @property
    def label(self) -> str:
        """Experiment and run, and that it is a trial."""
        mark = trial_mark(self.manifest)
        if self.given_label:
            return f"{self.given_label}{mark and f' ({mark})'}"
        return f"{self.name} ({self.manifest['run']}{mark and f', {mark}'})"

    @property
    def seed(self) -> int | None:
        """The seed of everything random in it; None where it is not known."""
        return self.manifest["seed"]

    @property
    def model_digest(self) -> str:
        """Of the model that was trained or evaluated."""
        return self.manifest["model_digest"] if self.plan is None else self.plan.model_digest

    @property
    def dataset(self) -> str | None:
        """The data set's name; None where it is not known."""
        return None if self.plan is None else self.plan.data.dataset

    @property
    def trial(self) -> str:
        """What the run's folder name says after the seed: empty, or that it is a trial.

        A run over a few batches is named after their number; the number of `--new` does not count.
        """
        stem = f"{self.manifest['training_digest'][:8]}-s{self.seed}"
        parts = self.manifest["run"].removeprefix(stem).split("-")
        return next((part for part in parts if part.startswith("limit")), "")


def is_source(path: Path) -> bool:
    """Return whether a path may be meant as a run or a scores file; a pattern of a shell finds others."""
    return not path.exists() or (path / "manifest.json").exists() or path.suffix == ".json"


def read_source(path: Path) -> Run:
    """Read a run folder, or the scores file of scores that `wavetwin evaluate` wrote of some weights.

    Raises:
        RunError: it is neither, or a file of it is missing or damaged.
    """
    return _read_scores_file(path) if path.is_file() else read_run(path)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        RunError: it is not a run, or a file in it is missing or damaged.
    """
    if not (folder / "manifest.json").is_file():
        raise RunError(
            "not-a-run", "is not a run: it has no manifest.json", _REMEDY, subject=folder
        )
    manifest = read_json(folder / "manifest.json")
    if manifest.get("wavetwin_run") != 1:
        raise RunError(
            "other-version", "is not a run of this version of wavetwin", _REMEDY, subject=folder
        )
    manifest = read_json(folder / "manifest.json", RunManifest, _COPY_AGAIN)
    if not (folder / "plan.json").is_file():
        raise RunError(
            "file-damaged", "is not whole: it has no plan.json", _COPY_AGAIN, subject=folder
        )
    document = read_json(folder / "plan.json", remedy=_COPY_AGAIN)
    try:
        plan = TrainingPlan.from_json(document)
    except ValueError as error:
        raise RunError(
            "file-damaged", f"is damaged: {error}", _COPY_AGAIN, subject=folder / "plan.json"
        ) from error
    epochs = _read_epochs(folder / "metrics.jsonl")
    scores = current_records(read_scores(folder / "scores.json"))
    return Run(folder, manifest, plan, scores, epochs)


def entry_of(record: Record) -> Evaluation:
    """Return what a record of scores is of."""
    return read_entry(record["entry"])


def _read_epochs(file: Path) -> list[dict[str, Any]]:
    """Return the lines that close an epoch."""
    try:
        return list(read_epochs(file))
    except ValueError as error:
        raise RunError("file-damaged", f"is damaged: {error}", _COPY_AGAIN, subject=file) from error


def graph_of(run: Run) -> ModuleGraph | None:
    """Return the run's graph as written; None where it kept none.

    Raises:
        RunError: the file is damaged, or of another version.
    """
    file = run.folder / "graph.json"
    if run.plan is None or not file.is_file():
        return None
    try:
        return ModuleGraph.from_json(read_json(file, remedy=_COPY_AGAIN))
    except ValueError as error:
        raise RunError("file-damaged", f"is damaged: {error}", _COPY_AGAIN, subject=file) from error


def build_of(run: Run) -> dict[str, Any]:
    """Return the manifest of the build that the run is of; empty where it kept none.

    Raises:
        RunError: the file is damaged.
    """
    file = run.folder / "build.json"
    if run.plan is None or not file.is_file():
        return {}
    return read_json(file, BuildRecord, _COPY_AGAIN)


def _read_scores_file(file: Path) -> Run:
    """Read a scores file of `wavetwin evaluate`.

    Raises:
        RunError: it is a run's, or empty, or of several weights.
    """
    records = read_scores(file)
    if not records or any(record.get("weights_file") is None for record in records):
        raise RunError(
            "scores-missing",
            "has no scores of weights without a run",
            "name a run's folder, or a scores file that `wavetwin evaluate` wrote",
            subject=file,
        )
    for number, record in enumerate(records):
        try:
            check_scores_of_weights(record, number)
        except FormError as error:
            raise RunError(
                "file-damaged", f"is damaged: {error}", "evaluate the weights again", subject=file
            ) from error
    if len({record["weights"] for record in records}) > 1:
        raise RunError(
            "name-ambiguous",
            "has scores of several weights",
            "evaluate each of them into a scores file of its own, with --out",
            subject=file,
        )
    last = records[-1]
    known = ("digest", "training_digest", "model_digest", "commit", "dirty", "drift")
    manifest = {name: last[name] for name in known} | {
        "name": PurePosixPath(last["weights_file"]).stem,
        "run": "weights without a run",
        "status": "finished",
        "seed": None,
        "parameters": None,
        "macs": None,
        "training_seconds": None,
        "build_manifest_sha256": None,
        "lives": [],
        "sources": [],
    }
    return Run(file.parent, manifest, None, current_records(records), [])
