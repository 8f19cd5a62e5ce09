"""Keep the scores file: evaluations are added to it and nothing is ever taken from it.

A second evaluation of an entry adds a second record; `current_records` says which one counts.
The per-image tables that the scores are means of lie beside the file, one for each record, so that
runs can be compared image by image.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from wavetwin.diagnostics.listing import list_some
from wavetwin.files.json_form import FormError
from wavetwin.files.lock import HeldError, hold_lock
from wavetwin.ir.evaluations import Evaluation
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.section import declaration_of, declared_fields
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.class_record import check_class_order
from wavetwin.runtime.evaluation.current_scores import Record, current_records
from wavetwin.runtime.evaluation.entry_files import entry_fingerprint
from wavetwin.runtime.evaluation.per_image import Evaluated
from wavetwin.runtime.evaluation.score_records import read_records
from wavetwin.runtime.evaluation.table_files import write_tables
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.json_files import now, read_json, write_json
from wavetwin.runtime.process.machine import launch_info
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.process.progress import say
from wavetwin.runtime.training.checkpoint import (
    AVERAGE,
    STATE,
    WEIGHTS,
    find_last,
    load_state,
    load_weights_bytes,
)
from wavetwin.runtime.training.deciding_record import kernel_drift
from wavetwin.runtime.training.run_documents import DAMAGED, RunManifest
from wavetwin.runtime.training.run_names import trial_mark
from wavetwin.runtime.training.saved_state import NO_DIGESTS, check_weights

__all__ = [
    "ScoresFile",
    "add_record",
    "current_records",
    "data_info",
    "find_weights",
    "read_scores",
    "saved_digest",
]

LOCK_WAIT_SECONDS = 30.0
"""Another process holds the scores file for as long as it takes to write a table."""
_SAME = ("weights", "data", "build_manifest_sha256", "limit_batches", "checkpoint")
"""What a record must have in common with this evaluation to make it superfluous."""


class ScoresFile:
    """`scores.json` of a run, with `predictions/` beside it."""

    def __init__(
        self,
        run: Path,
        plan: TrainingPlan,
        data: ExperimentData,
        provenance: RunProvenance,
        weights: str = "last",
        data_root: Path | None = None,
        options: Sequence[str] = (),
        device: torch.device | None = None,
    ) -> None:
        """Find the weights and note what the scores are of; `load_weights` then reads them.

        Args:
            run: the run's folder.
            plan: the built plan.
            data: what is evaluated on.
            provenance: of the script that evaluates.
            weights: `last`, `best`, or a snapshot such as `epoch-030`.
            data_root: as the command line gives it, for entries with images of their own.
            options: of the command line, kept for who evaluates again: device and data root.
            device: where the network computes; default: a CPU.

        Raises:
            RunError: there are no such weights, or a file is damaged.
        """
        manifest = read_json(run / "manifest.json", RunManifest, DAMAGED)
        check_class_order(manifest, data.class_names, run)
        self.weights, self.epochs = find_weights(run, weights)
        self._run, self._name = run, weights
        self._training_digest = plan.training_digest
        self._data, self._data_root = data, data_root
        self._file = run / "scores.json"
        drift = {
            *manifest["drift"],
            *provenance.drift,
            *kernel_drift(plan, manifest, device or torch.device("cpu")),
        }
        self._info = {
            "digest": plan.digest,
            "training_digest": plan.training_digest,
            "commit": manifest["commit"],
            "dirty": manifest["dirty"],
            "drift": sorted(drift | {f"data-changed: {note}" for note in data.data_notes}),
            "build_manifest_sha256": provenance.manifest_sha256,
            **data_info(data),
            "checkpoint": weights,
            "epochs": self.epochs,
            "options": list(options),
            "trained_limit_batches": manifest.get("limit_batches"),
        }
        self._trial = trial_mark(manifest)
        if not 0 <= self.epochs <= plan.epochs:
            raise RunError(
                "checkpoint-damaged",
                f"would be of {self.epochs} epochs, and the plan has {plan.epochs}",
                "bring back the checkpoints as they were, or train another run with --new",
                subject=self.weights,
            )
        read_scores(self._file)

    def load_weights(self, model: nn.Module, processes: Processes = ALONE) -> None:
        """Fill the model; records name the SHA-256 of the very bytes that it was filled from.

        Every process calls it and reads the file by itself.

        Raises:
            RunError: the file is damaged or of another model, training replaced it meanwhile, or
                the processes read different ones.
        """
        try:
            content = self.weights.read_bytes()
        except OSError as error:
            raise RunError(
                "file-unreadable",
                f"cannot be read: {error.strerror or error}",
                "if the run is training, evaluate again",
                subject=self.weights,
            ) from error
        file, epochs, expected = _find_saved(self._run, self._name, self._training_digest)
        if (file, epochs) != (self.weights, self.epochs):
            raise RunError(
                "in-use",
                "was replaced while it was read: the run is training",
                "evaluate again",
                subject=self.weights,
            )
        digest = hashlib.sha256(content).hexdigest()
        digests = processes.gather(digest)
        if len(set(digests)) > 1:
            others = [rank for rank, other in enumerate(digests) if other != digests[0]]
            raise RunError(
                "processes-disagree",
                f"is not the same file for all processes: number "
                f"{list_some(map(str, others))} read other bytes than number 0",
                "if the run is training, evaluate again; else make the run's folder the same on "
                "all machines",
                subject=self.weights,
            )
        if expected is not None:
            check_weights(self.weights, digest, expected)
        elif processes.is_first:
            say(f"warning: {NO_DIGESTS}")
        if self._trial and processes.is_first:
            say(f"the run is a {self._trial}: its scores are no result")
        load_weights_bytes(model, content, self.weights)
        self._info["weights"] = digest
        self._info["launch"] = launch_info(processes.count)

    def has(self, entry: Evaluation) -> bool:
        """Return whether the entry was scored with the same weights, data, files and build.

        Scores without damaged images do not count where these stop an evaluation. The files of an
        entry that has some of its own are listed, which may take a while. Call it after
        `load_weights`.

        Raises:
            RunError: the scores file is damaged.
        """
        key = entry_key(entry)
        skips_bad, info = self._data.loading.skips_bad, self._known_info()
        found = [
            record
            for record in read_scores(self._file)
            if record["entry"] == key
            and all(record.get(name) == info[name] for name in _SAME)
            and (skips_bad or not record.get("skipped"))
        ]
        if not found:
            return False
        try:
            files = entry_fingerprint(entry, self._data, self._data_root)
        except RunError:
            # The evaluation that follows meets the same fault and says so.
            return False
        return any(record.get("files") == files for record in found)

    def add(self, entry: Evaluation, evaluated: Evaluated) -> None:
        """Add the record of an entry, and the file of its per-image table; after `load_weights`.

        Raises:
            RunError: it cannot be written, or another process holds the scores file for too long.
        """
        add_record(self._file, entry, evaluated, self._known_info())

    def _known_info(self) -> dict[str, Any]:
        if "weights" not in self._info:
            raise RuntimeError("load_weights comes first: records name the weights' bytes")
        return self._info


def add_record(
    file: Path, entry: Evaluation, evaluated: Evaluated, info: Mapping[str, Any]
) -> Record:
    """Add one record to a scores file, made where there is none, and return it.

    The table and the CSV file are written first, so that a kill leaves no record without them.

    Raises:
        RunError: it cannot be written, or another process holds the scores file for too long.
    """
    with locked(file):
        records = read_scores(file)
        record: Record = {
            "entry": entry_key(entry),
            "scores": evaluated.scores,
            "intervals": evaluated.intervals,
            "predictions": None,
            "images": evaluated.images,
            "skipped": evaluated.skipped,
            "files": evaluated.fingerprint,
            **info,
            "date": now(),
        }
        if evaluated.per_image:
            text = json.dumps([len(records), record], sort_keys=True)
            name = f"{entry.mode}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            folder = file.parent / _tables_of(file)
            record |= write_tables(folder, name, record["entry"], evaluated)
        write_json(file, {"wavetwin_scores": 1, "scores": [*records, record]})
        return record


def read_scores(file: Path) -> list[Record]:
    """Return the records of a scores file, the oldest first; none where there is no file.

    Raises:
        RunError: it is damaged, or no scores file.
    """
    remedy = "bring back the file as it was, or move it away and evaluate again"
    try:
        return read_records(file)
    except FormError as error:
        raise RunError("file-damaged", f"is damaged: {error}", remedy, subject=file) from error
    except ValueError as error:
        raise RunError("file-damaged", f"cannot be read: {error}", remedy, subject=file) from error


def find_weights(run: Path, name: str, training_digest: str | None = None) -> tuple[Path, int]:
    """Return a run's weights file by name, and after how many epochs it was written.

    Raises:
        RunError: there is none of this name; the ones that are there are named. Or the state is of
            another training than `training_digest`.
    """
    file, epochs, _ = _find_saved(run, name, training_digest)
    return file, epochs


def saved_digest(run: Path, name: str, training_digest: str) -> str | None:
    """Return the SHA-256 that a run's state has of its weights; None in states of earlier versions.

    Raises:
        RunError: as `find_weights`.
    """
    return _find_saved(run, name, training_digest)[2]


def _find_saved(
    run: Path, name: str, training_digest: str | None = None
) -> tuple[Path, int, str | None]:
    """Return what `find_weights` does, and the SHA-256 that the run's state has of the file."""
    checkpoints = run / "checkpoints"
    folder, state = find_last(checkpoints), load_state(checkpoints)
    of_state = None if state is None else state.get("training_digest", training_digest)
    if state is not None and training_digest not in (None, of_state):
        raise RunError(
            "run-differs",
            f"is of another run: training_digest is {of_state}, here it is {training_digest}",
            "bring back the checkpoints as they were, or train another run with --new",
            subject=folder,
        )
    file, digest = (AVERAGE, "average_sha256") if name == "average" else (WEIGHTS, "weights_sha256")
    if name == "last" or (folder is not None and name == "average" and (folder / file).is_file()):
        if folder is None or state is None:
            raise RunError("no-weights", f"no trained weights in {run}", "run train.py first")
        epochs = state.get("epoch")
        if not isinstance(epochs, int):
            raise RunError(
                "checkpoint-damaged",
                "does not say after how many epochs it was saved",
                "bring back the file as it was, or train another run with --new",
                subject=folder / STATE,
            )
        return folder / file, epochs, state.get(digest)
    kept = sorted(checkpoints.glob("*.safetensors"))
    file = checkpoints / f"{name}.safetensors"
    if file not in kept:
        there = ", ".join([*(["last"] if folder else []), *(f.stem for f in kept)])
        raise RunError(
            "no-weights",
            f"the run {run} has no weights '{name}'",
            f"there are {there}" if there else "run train.py first",
        )
    digests = {} if state is None else state.get("kept", {})
    return file, _epoch_of(file), digests.get(file.name)


def data_info(data: ExperimentData) -> dict[str, Any]:
    """Return what a record says about the images."""
    return {"data": data.fingerprint, "limit_batches": data.limit_batches}


def entry_key(entry: Evaluation) -> dict[str, Any]:
    """Return an entry as records name it: without the fields that its mode does not have."""
    # Records of before a field are of its default, and are named alike.
    later = {
        each.name
        for each in declared_fields(type(entry))
        if declaration_of(each).is_later and getattr(entry, each.name) == each.default
    }
    return {
        name: value
        for name, value in entry.to_json().items()
        if value is not None and name not in later
    }


def _epoch_of(file: Path) -> int:
    """Return the epoch in the header of a weights file, else in its name."""
    try:
        with safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get("epoch") or file.stem.removeprefix("epoch-")
    except (OSError, SafetensorError) as error:
        raise RunError("weights-damaged", f"cannot be read: {error}", subject=file) from error
    if not text.isdecimal():
        raise RunError(
            "checkpoint-damaged", "does not say after how many epochs it was written", subject=file
        )
    return int(text)


def _tables_of(file: Path) -> str:
    """Return the folder of the tables: of a run `predictions`, elsewhere named as the scores file."""
    return "predictions" if file.name == "scores.json" else f"{file.stem}.predictions"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes from adding to a scores file meanwhile."""
    path = file.with_name(f"{file.name}.lock")
    try:
        lock = hold_lock(path, LOCK_WAIT_SECONDS)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=path
        ) from error
    except HeldError as error:
        raise RunError(
            "in-use",
            f"another process has been writing to {file} for {LOCK_WAIT_SECONDS:.0f} seconds{error}",
            "wait for it, or end it, and evaluate again",
        ) from error
    try:
        yield
    finally:
        os.close(lock)
