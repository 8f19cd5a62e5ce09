"""Open run folders: where a run lies, what it is of, who works on it, and its sessions.

`runs/<name>/<first 8 of the training digest>-s<seed>/` has no time in its name, so that a requeued
job finds it again. `manifest.json` says what runs, on what, since when; one entry of `lives` for
each time that the script was started.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from wavetwin.files.atomic import write_file
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.own_code import FOLDER
from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.edits import (
    EDIT_DIFFERENCE,
    EDITED,
    Edit,
    find_edit,
    find_originals,
    write_difference,
)
from wavetwin.provenance.package import version_difference
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.data.class_record import CLASS_NAMES, recorded_names
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError, is_full, write_code
from wavetwin.runtime.process.json_files import now, write_json
from wavetwin.runtime.process.machine import launch_info, machine_info
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.process.scripts import ScriptArguments, runs_folder
from wavetwin.runtime.training.checkpoint import describe_last, find_last
from wavetwin.runtime.training.plan_file import edited_numbers, read_plan
from wavetwin.runtime.training.run_lock import lock_run
from wavetwin.runtime.training.run_manifest import MANIFEST, existing_manifest, new_manifest
from wavetwin.runtime.training.run_names import find_runs, run_number, run_stem
from wavetwin.runtime.training.starting.start_record import START_FILE, StartRecord

__all__ = ["RunFolder", "find_run", "find_runs", "run_stem"]

_DOCUMENTS = {
    "plan.json": "plan.json",
    "graph.json": "graph.json",
    "manifest.json": "build.json",
    "model.py": "model.py",
    "spec.lock.yaml": "spec.lock.yaml",
    "inputs.patch": "inputs.patch",
    "wavetwin.patch": "wavetwin.patch",
}
"""Copied from the built folder, so that a run can be read without it."""
_STEP_WIDTH = 20


class RunFolder:
    """One run on disk, locked for the first of its processes; the others write nothing."""

    def __init__(
        self,
        path: Path,
        manifest: dict[str, Any],
        lock: int | None,
        arguments: ScriptArguments,
        provenance: RunProvenance,
    ) -> None:
        self.path, self.manifest = path, manifest
        self.arguments, self.provenance = arguments, provenance
        self.edited_numbers: list[str] = []
        """What constants of train.py change of the plan that was built."""
        self._lock = lock
        self._steps: int | None = None
        if lock is not None:
            self._steps = os.open(path / "steps", os.O_RDWR | os.O_CREAT, 0o644)

    @property
    def checkpoints(self) -> Path:
        """Where states and snapshots lie."""
        return self.path / "checkpoints"

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done."""
        return self.manifest["status"] == "finished"

    @staticmethod
    def open(
        script_folder: Path,
        plan: TrainingPlan,
        graph: ModuleGraph,
        arguments: ScriptArguments,
        provenance: RunProvenance,
        processes: Processes = ALONE,
    ) -> RunFolder:
        """Lock the run of this plan, made where there is none.

        Under torchrun the first process does, and the others learn where it is.

        Raises:
            RunError: another script works on it, or it is of another training.
        """
        own: list[RunFolder] = []

        def open_first() -> tuple[Path, dict[str, Any]]:
            own.append(_open(script_folder, plan, graph, arguments, provenance))
            return own[0].path, own[0].manifest

        path, manifest = processes.run_first(open_first)
        return own[0] if own else RunFolder(path, manifest, None, arguments, provenance)

    def begin_life(
        self,
        step: int,
        device: torch.device,
        processes: int = 1,
        deciding: Mapping[str, str | None] | None = None,
    ) -> list[str]:
        """Record that the script starts; return warnings for the user.

        Args:
            step: steps that are done.
            device: what it computes on.
            processes: all of them.
            deciding: versions that decide its numbers beside torch's.
        """
        if self._lock is None:
            return []
        sessions: list[dict[str, Any]] = self.manifest["lives"]
        self.manifest["drift"] = sorted({*self.manifest["drift"], *self.provenance.drift})
        machine = machine_info(device) | launch_info(processes)
        packages = dict(deciding or {})
        machine |= packages
        warnings = list(self.edited_numbers)
        versions = self.provenance.manifest.get("versions", {})
        for name in ("torch", *packages):
            built_with = versions.get(name)
            differs = built_with and version_difference(built_with, str(machine[name]))
            if differs:
                warnings.append(f"built with {name} {differs[0]}, this is {differs[1]}")
        if sessions:
            self._close_session(sessions[-1])
            for key in ("torch", "device", "threads", *packages):
                old, new = str(sessions[-1]["machine"].get(key)), str(machine[key])
                if version_difference(old, new):
                    warnings.append(
                        f"{key} was {old} and is {new}: the last bits of the weights may differ"
                    )
            old = sessions[-1]["machine"].get("processes", 1)
            if old != processes:
                warnings.append(
                    f"there were {old} processes and are {processes}: batches are divided in "
                    "another way, so that running statistics and dropout differ from now on"
                )
        sessions.append(
            {
                "first_step": step + 1,
                "last_step": step,
                "started": now(),
                "ended": None,
                "outcome": "running",
                "command": list(self.arguments.command),
                "drift": list(self.provenance.drift),
                "build_manifest_sha256": self.provenance.manifest_sha256,
                "machine": machine,
                "warnings": warnings,
            }
        )
        self.mark_step(step)
        self.manifest["status"] = "running"
        self.write_manifest()
        return warnings

    def note_bad_images(self, everywhere: Sequence[Mapping[str, str]]) -> None:
        """Record the damaged images that were left out, of all processes and sessions."""
        noted: dict[str, str] = self.manifest.setdefault("bad_images", {})
        for bad_images in everywhere:
            noted |= bad_images

    def note_initial_weights(self, sha256: str) -> None:
        """Record which file the free channels started from; a later session does not change it."""
        self.manifest.setdefault("initial_weights", sha256)

    def note_start(self, start: StartRecord) -> None:
        """Record the weights that the run starts from: a summary here, all of it in a file of its own."""
        self.manifest["starting_weights"] = start.summary()
        write_json(self.path / START_FILE, start.to_json())
        self.write_manifest()

    def note_data(self, notes: Sequence[str], class_names: Sequence[str] | None = None) -> None:
        """Record what of the data is not official: it marks the run; and which class is which."""
        self.manifest[CLASS_NAMES] = recorded_names(class_names)
        found = [f"data-changed: {note}" for note in notes]
        self.manifest["drift"] = sorted({*self.manifest["drift"], *found})

    def note_identity(self) -> None:
        """Give the run a text of its own, by which services know its sessions as one run."""
        self.manifest.setdefault("identity", uuid.uuid4().hex)

    @property
    def identity(self) -> str:
        """The text of `note_identity`."""
        return str(self.manifest["identity"])

    def note_weights(self, sha256: str) -> None:
        """Record the SHA-256 of the last weights; it reaches the disk when the session ends."""
        self.manifest["weights"] = sha256

    def check_nothing_was_saved(self) -> None:
        """Refuse to begin anew where a state was saved and is gone: the records would be lost.

        Raises:
            RunError: a session of this run ended with a saved state.
        """
        ended = [session["outcome"] for session in self.manifest["lives"]]
        if "stopped" in ended or "finished" in ended:
            raise RunError(
                "checkpoint-damaged",
                "has no state, and the run has saved one",
                f"bring back the folder as it was; {ANOTHER_RUN}",
                subject=self.checkpoints,
            )

    def mark_step(self, step: int) -> None:
        """Note the number of steps done; survives a kill of the process."""
        if self._steps is not None:
            os.pwrite(self._steps, f"{step:0{_STEP_WIDTH}d}\n".encode(), 0)

    def end_life(self, outcome: str, training_seconds: float, fault: str | None = None) -> None:
        """Record how this session ended: `finished`, `stopped` (a signal) or `failed`, and by what fault."""
        if self._lock is None:
            return
        session = self.manifest["lives"][-1]
        session["last_step"] = max(session["last_step"], self._marked_step())
        session["ended"], session["outcome"] = now(), outcome
        if fault is not None:
            session["fault"] = fault
        self.manifest["status"] = outcome
        self.manifest["training_seconds"] = round(training_seconds, 3)
        self.write_manifest()

    def write_manifest(self) -> None:
        """Replace manifest.json."""
        write_json(self.path / MANIFEST, self.manifest)

    def close(self) -> None:
        """Give the folder free for other processes."""
        if self._steps is not None:
            os.close(self._steps)
            self._steps = None
        if self._lock is not None:
            os.close(self._lock)

    def _close_session(self, session: dict[str, Any]) -> None:
        if session["outcome"] == "running":
            session["last_step"] = max(session["last_step"], self._marked_step())
            session["outcome"] = "killed"

    def _marked_step(self) -> int:
        if self._steps is None:
            return 0
        text = os.pread(self._steps, _STEP_WIDTH, 0).decode("ascii", "replace")
        return int(text) if text.isdigit() else 0


def _open(
    script_folder: Path,
    plan: TrainingPlan,
    graph: ModuleGraph,
    arguments: ScriptArguments,
    provenance: RunProvenance,
) -> RunFolder:
    parent = runs_folder(script_folder, arguments.runs) / plan.name
    edit = find_edit(script_folder)
    existing = find_runs(parent, plan, arguments.limit_batches, edit.digest)
    stem = run_stem(plan, arguments.limit_batches, edit.digest)
    if arguments.new and existing:
        path = parent / f"{stem}-{run_number(existing[-1], stem) + 1}"
    else:
        path = existing[-1] if existing else parent / stem
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = lock_run(path)
        try:
            manifest = existing_manifest(path, plan) or new_manifest(
                path.name, plan, graph, provenance, arguments.limit_batches
            )
            file = script_folder / "plan.json"
            built = read_plan(file) if file.is_file() else plan
            if plan != built and not (path / "plan.json").exists():
                write_json(path / "plan.json", plan.to_json())
            _copy_documents(script_folder, path, provenance)
            if edit.files:
                _keep_edit(script_folder, path, edit, manifest)
            run = RunFolder(path, manifest, lock, arguments, provenance)
            run.edited_numbers = edited_numbers(plan, built)
            run.write_manifest()
        except (RunError, OSError):
            os.close(lock)
            raise
    except OSError as error:
        remedy = (
            describe_last(path / "checkpoints")
            if is_full(error)
            else "name another folder for runs with --runs"
        )
        raise RunError(
            write_code(error),
            f"cannot be written: {error.strerror or error}",
            remedy,
            subject=error.filename or path,
        ) from error
    return run


def _keep_edit(script_folder: Path, path: Path, edit: Edit, manifest: dict[str, Any]) -> None:
    """Keep the changed files of the built folder, and their difference from what was built."""
    if (path / EDIT_DIFFERENCE).exists():
        return
    originals = find_originals(script_folder, edit.files)
    for name, content in edit.files.items():
        if content is not None:
            write_file(path / EDITED / name, content)
    write_file(path / EDIT_DIFFERENCE, write_difference(edit, originals))
    manifest["edited"] = edit.to_json(originals)


def _copy_documents(script_folder: Path, path: Path, provenance: RunProvenance) -> None:
    """Copy what a run is read by without its built folder; a file that is there stays.

    The project's own code is among it: spec.lock.yaml names it.
    """
    below = f"{FOLDER}/"
    own_code = [name for name in provenance.manifest.get("files", ()) if name.startswith(below)]
    for source, target in (_DOCUMENTS | {name: name for name in own_code}).items():
        if not (script_folder / source).is_file() or (path / target).exists():
            continue
        try:
            content = (script_folder / source).read_bytes()
        except OSError as error:
            raise RunError(
                "file-unreadable", f"cannot be read: {error.strerror}", subject=error.filename
            ) from error
        write_file(path / target, content)


def find_run(script_folder: Path, plan: TrainingPlan, arguments: ScriptArguments) -> Path:
    """Return the run to evaluate: the one named by `--run`, else the last one.

    Raises:
        RunError: there is none, or nothing was trained in it.
    """
    parent = runs_folder(script_folder, arguments.runs) / plan.name
    if arguments.run is not None:
        path = parent / arguments.run
    else:
        edit = find_edit(script_folder).digest
        runs = find_runs(parent, plan, arguments.limit_batches, edit)
        path = runs[-1] if runs else parent / run_stem(plan, arguments.limit_batches, edit)
    if find_last(path / "checkpoints") is None:
        raise RunError("no-weights", f"no trained weights in {path}", "run train.py first")
    existing_manifest(path, plan)
    return path
