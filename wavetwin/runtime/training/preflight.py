"""Check in a second, without torch, whether a run could start here.

`python train.py --preflight` and `slurm.sh` ask it before a job waits in a queue for hours.
`python -m wavetwin.runtime.training.preflight FOLDER [options of train.py]` is the same;
`... --status FOLDER ...` prints instead how the run stands: `none`, `new`, `running`, `stopped`,
`failed` or `finished`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import say
from wavetwin.files.json_text import parse_json
from wavetwin.files.lock import lock_file
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.own_code import PACKAGES
from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.edits import find_edit
from wavetwin.provenance.package import RECORDED_PACKAGES, installed_versions, version_difference
from wavetwin.provenance.record import RunProvenance, check_before_run
from wavetwin.runtime.process.compilers import find_compiler
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import (
    ScriptArguments,
    parse_arguments,
    project_of,
    run_script,
    runs_folder,
)
from wavetwin.runtime.training.run_names import find_runs, run_stem

__all__ = ["run_preflight", "run_status"]

_MODULES = {"pillow": "PIL", "scikit_learn": "sklearn"}
"""Names of packages that are imported by another one."""
_FLOAT_BYTES = 4
_STATES_AT_ONCE = 3
"""The last state, the new one beside it, and the best weights with some room."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    result: Literal["ok", "note", "fail"]
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.result:<4}  {self.subject:<9}  {self.text}"


def run_preflight(folder: Path, arguments: ScriptArguments) -> int:
    """Print a line for each check of a built folder; return 0, or 2 where the run cannot start.

    Raises:
        CompileError: the manifest is missing or damaged.
        RunError: so are plan and graph.
    """
    provenance = check_before_run(folder / "train.py", allow_drift=True)
    plan, graph = _documents(folder)
    findings = [
        _check_build(provenance, arguments),
        *_check_packages(provenance, plan),
        *_check_compiler(plan),
        *_check_data(plan, arguments),
        *_check_weights(folder, plan, arguments),
        *_check_initial_weights(folder, plan),
        *_check_run(folder, plan, arguments),
        _check_space(folder, plan, graph, arguments),
    ]
    say("".join(f"{finding}\n" for finding in findings))
    return 2 if any(finding.result == "fail" for finding in findings) else 0


def run_status(folder: Path, arguments: ScriptArguments) -> str:
    """Return the status of the run that these options resume, `none` where there is none.

    Raises:
        RunError: its manifest is damaged.
    """
    plan, _ = _documents(folder)
    parent = runs_folder(folder, arguments.runs) / plan.name
    runs = find_runs(parent, plan, arguments.limit_batches, find_edit(folder).digest)
    return str(_run_manifest(runs[-1]).get("status", "none")) if runs else "none"


def _documents(folder: Path) -> tuple[TrainingPlan, ModuleGraph]:
    try:
        plan = TrainingPlan.from_text((folder / "plan.json").read_text(encoding="utf-8"))
        graph = ModuleGraph.from_text((folder / "graph.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            "file-damaged", f"has no plan and graph: {error}", "build again", subject=folder
        ) from error
    return plan, graph


def _check_build(provenance: RunProvenance, arguments: ScriptArguments) -> Finding:
    if not provenance.drift:
        return Finding("ok", "build", "script and wavetwin are as they were built")
    result = "note" if arguments.allow_drift else "fail"
    return Finding(result, "build", f"not as it was built: {list_some(provenance.drift)}")


def _check_packages(provenance: RunProvenance, plan: TrainingPlan) -> Iterator[Finding]:
    recorded: dict[str, Any] = provenance.manifest.get("versions", {})
    # What code of the project imports, its metrics too: evaluate.py needs it when the training is over.
    own = [name for name in PACKAGES.values() if name in recorded]
    needed = list(dict.fromkeys((*RECORDED_PACKAGES, *plan.packages, *own, "pillow")))
    dataset = DATASETS.get(plan.data.dataset)
    if dataset is not None and dataset.package is not None:
        needed.append(dataset.package.module)
    missing = [
        name for name in needed if importlib.util.find_spec(_MODULES.get(name, name)) is None
    ]
    if missing:
        text = f"{sys.executable} has no {list_some(missing)}; PYTHON chooses another interpreter"
        yield Finding("fail", "packages", text)
        return
    changed = [
        f"{name} {differs[1]} (built with {differs[0]})"
        for name, version in installed_versions(needed).items()
        if recorded.get(name) is not None and version is not None
        if (differs := version_difference(recorded[name], version)) is not None
    ]
    if changed:
        text = f"others than at the build, the last bits may differ: {list_some(changed)}"
        yield Finding("note", "packages", text)
    else:
        yield Finding("ok", "packages", f"{', '.join(needed)}, of {sys.executable}")


def _check_compiler(plan: TrainingPlan) -> Iterator[Finding]:
    if plan.compile:
        program = find_compiler()
        result = "ok" if program else "fail"
        yield Finding(result, "compiler", program or "training.compile needs a C++ compiler")


def _check_data(plan: TrainingPlan, arguments: ScriptArguments) -> Iterator[Finding]:
    from wavetwin.runtime.data.readers import known_dataset
    from wavetwin.runtime.data.root import ROOT_REMEDY, find_data_root

    try:
        dataset = known_dataset(plan.data)
        if dataset.package is not None:
            yield Finding("ok", "data", f"{dataset.name} come with {dataset.package.name}")
            return
        root = find_data_root(arguments.data_root)
    except RunError as error:
        yield Finding("fail", "data", error.headline)
        return
    if root is None:
        yield Finding("fail", "data", f"no data root is known: {ROOT_REMEDY}")
        return
    # The readers look closer when a run starts.
    locations = dataset.locations
    if dataset.is_own and plan.data.folder is not None:
        root = root / plan.data.folder
    if dataset.is_own and plan.data.split_list is not None:
        locations = (plan.data.split_list,)
    if dataset.is_own and plan.data.file is not None:
        locations = (plan.data.file,)
    found = next((root / each for each in locations if (root / each).exists()), None)
    if found is None:
        text = (
            f"{root} has no {' and no '.join(locations)}; `wavetwin data check` says how to get it"
        )
        yield Finding("fail", "data", text)
    else:
        yield Finding(
            "ok", "data", f"{dataset.name} in {found}; its files are checked when the run starts"
        )


def _check_weights(
    folder: Path, plan: TrainingPlan, arguments: ScriptArguments
) -> Iterator[Finding]:
    """Hold the file that the training starts from against the plan; a run that resumes needs none."""
    weights = plan.weights
    if weights is None or (_resumes(folder, plan, arguments) and not arguments.new):
        return
    file = project_of(folder) / weights.file
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        text = f"the training starts from {file}, which cannot be read: {error.strerror or error}"
        yield Finding("fail", "weights", text)
        return
    if weights.sha256 not in (None, found):
        yield Finding("fail", "weights", f"{file} is another file than this was built with")
    else:
        text = (
            f"the training starts from {weights.describe()}; what fits is seen when the run starts"
        )
        yield Finding("ok", "weights", text)


def _resumes(folder: Path, plan: TrainingPlan, arguments: ScriptArguments) -> bool:
    parent = runs_folder(folder, arguments.runs) / plan.name
    runs = find_runs(parent, plan, arguments.limit_batches, find_edit(folder).digest)
    return bool(runs) and (runs[-1] / "checkpoints" / "last").is_dir()


def _check_initial_weights(folder: Path, plan: TrainingPlan) -> Iterator[Finding]:
    if plan.initial_weights is None:
        return
    file = project_of(folder) / plan.initial_weights.checkpoint
    if file.is_file():
        yield Finding("ok", "weights", f"the free channels start from {file}")
    else:
        yield Finding("fail", "weights", f"{file} is not there; the free channels start from it")


def _check_run(folder: Path, plan: TrainingPlan, arguments: ScriptArguments) -> Iterator[Finding]:
    parent = runs_folder(folder, arguments.runs) / plan.name
    existing = _nearest_existing(parent)
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("fail", "run", f"{existing} cannot be written; --runs chooses another folder")
        return
    edit = find_edit(folder).digest
    runs = find_runs(parent, plan, arguments.limit_batches, edit)
    if not runs or arguments.new:
        new = parent / run_stem(plan, arguments.limit_batches, edit)
        number = f", number {len(runs) + 1}" if runs else ""
        yield Finding("ok", "run", f"starts in {new}{number}")
        return
    path = runs[-1]
    try:
        manifest = _run_manifest(path)
    except RunError as error:
        yield Finding("fail", "run", error.headline)
        return
    holder = _lock_holder(path)
    if holder is not None:
        yield Finding("fail", "run", f"another process trains in {path} ({holder})")
    elif manifest.get("training_digest", plan.training_digest) != plan.training_digest:
        yield Finding("fail", "run", f"{path} is of another training; --new starts another run")
    elif manifest.get("status") == "finished":
        yield Finding("note", "run", f"{path} is finished; --new starts another run")
    else:
        yield Finding("ok", "run", f"resumes {path}")


def _check_space(
    folder: Path, plan: TrainingPlan, graph: ModuleGraph, arguments: ScriptArguments
) -> Finding:
    counts = graph.parameters
    weights = _FLOAT_BYTES * (counts.total + counts.buffers)
    state = weights + plan.optimizer.num_averages * _FLOAT_BYTES * counts.trainable
    if plan.average_decay is not None:
        state += weights
    snapshots = plan.epochs // plan.checkpoint_every
    needed = _STATES_AT_ONCE * state + snapshots * weights
    location = _nearest_existing(runs_folder(folder, arguments.runs))
    free = shutil.disk_usage(location).free
    text = (
        f"{free / 1e6:,.0f} MB free for {location}, about {needed / 1e6:,.1f} MB needed for states and "
        f"{snapshots} snapshots (quotas are not looked at)"
    )
    return Finding("ok" if free > needed else "fail", "space", text)


def _run_manifest(path: Path) -> dict[str, Any]:
    file = path / "manifest.json"
    if not file.is_file():
        return {}
    try:
        document = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError("file-damaged", f"cannot be read: {error}", subject=file) from error
    return document if isinstance(document, dict) else {}


def _lock_holder(path: Path) -> str | None:
    """Return who holds a run's lock; None where nobody does."""
    if not (path / "lock").is_file():
        return None
    with (path / "lock").open("r+", encoding="utf-8", errors="replace") as lock:
        try:
            lock_file(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, path / "lock")
        except BlockingIOError:
            return lock.read(200).strip() or "unknown"
    return None


def _nearest_existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _main(argv: Sequence[str]) -> int:
    wants_status = list(argv[:1]) == ["--status"]
    argv = argv[1:] if wants_status else argv
    if not argv or argv[0].startswith("-"):
        raise RunError(
            "bad-argument",
            "the built folder is not named",
            "python -m wavetwin.runtime.training.preflight [--status] FOLDER [options of train.py]",
        )
    folder = Path(argv[0]).absolute()
    arguments = parse_arguments("options of train.py", training=True, arguments=argv[1:])
    if wants_status:
        say(run_status(folder, arguments) + "\n")
        return 0
    return run_preflight(folder, arguments)


if __name__ == "__main__":
    run_script(lambda: _main(sys.argv[1:]), "text")
