"""List everything needed to do a run again: what it was made of, where, and the commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from wavetwin.explain.html import fill, table
from wavetwin.explain.report.overview import marks_of
from wavetwin.explain.report.page import Part
from wavetwin.explain.report.runs import Run, build_of
from wavetwin.explain.start_command import (
    Launch,
    built_folder,
    evaluation_command,
    training_commands,
)
from wavetwin.ir.sides import size_text

__all__ = ["reproduce_part", "run_anchor"]

_MACHINE = (
    "system",
    "python",
    "torch",
    "device",
    "device_name",
    "cores",
    "threads",
    "processes",
    "nodes",
    "processes_per_node",
    "launcher",
)
"""Of the machine's record: what numbers and times depend on."""


def reproduce_part(runs: Sequence[Run]) -> Part:
    """Return what each run was made of and how it is made again.

    Raises:
        RunError: a run's build.json is damaged.
    """
    shown = [_of_run(number, run) for number, run in enumerate(runs)]
    return Part("reproduce", "To reproduce", fill("report_parts", "reproduce", shown))


def run_anchor(number: int) -> str:
    """Return the id of the part on run `number`, from 0."""
    return f"run-{number + 1}"


def _of_run(number: int, run: Run) -> dict[str, Any]:
    """Return what the template shows of a run."""
    build = build_of(run)
    return {
        "anchor": run_anchor(number),
        "label": run.label,
        "warnings": marks_of(run),
        "info": list(_info(run, build)),
        "commands": _commands(run, build),
        "sessions": _sessions(run),
        "resolved_spec": _resolved_spec(run),
    }


def _info(run: Run, build: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is recorded of the run, name and value; what is not, is left out."""
    manifest, last = run.manifest, run.scores[-1] if run.scores else {}
    sources = {source.get("role"): source for source in manifest.get("sources") or []}
    wavetwin = sources.get("wavetwin", {})
    values: dict[str, Any] = {
        "spec": build.get("spec", last.get("spec")),
        "overrides": ", ".join(build.get("overrides", last.get("overrides")) or []),
        "commit": manifest["commit"],
        "uncommitted changes": "yes" if manifest["dirty"] else "none",
        "digest": manifest["digest"],
        "training digest": manifest["training_digest"],
        "model digest": run.model_digest,
        "manifest of the build, SHA-256": manifest["build_manifest_sha256"],
        "wavetwin": _version(wavetwin),
        "package digest": wavetwin.get("package_digest", last.get("package_digest")),
        "built with": _listed(build.get("versions") or {}),
        "seed": run.seed,
        "data": _distinct(run, "data"),
        "weights, SHA-256": _distinct(run, "weights"),
        "weights file": last.get("weights_file"),
        "machine": _machine(run),
        "scored": ", ".join(sorted({record.get("date", "") for record in run.scores})[-1:]),
    }
    if run.plan is not None:
        values["data set"] = f"{run.dataset}, {size_text(run.plan.data.image_size)} pixels"
    for name, value in values.items():
        if value not in (None, ""):
            yield name, str(value)


def _version(source: dict[str, Any]) -> str:
    texts = [
        source.get("version"),
        f"commit {source['commit']}" if source.get("commit") else None,
    ]
    return ", ".join(text for text in texts if text)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _distinct(run: Run, name: str) -> str:
    return ", ".join(dict.fromkeys(record[name] for record in run.scores if record.get(name)))


def _machine(run: Run) -> str:
    sessions = run.manifest.get("lives") or []
    machine = sessions[-1].get("machine") or {} if sessions else {}
    found = {name: machine[name] for name in _MACHINE if machine.get(name) is not None}
    return _listed({name.replace("_", " "): value for name, value in found.items()})


def _commands(run: Run, build: dict[str, Any]) -> list[str]:
    """Return the lines for a shell, from the checkout of the project on."""
    commit = run.manifest["commit"]
    lines = ["# outside of a git repository: there is no commit to go back to"]
    if commit is not None:
        folder = f"../at-{commit[:8]}"
        lines = [f"git worktree add {folder} {commit}", f"cd {folder}"]
    if run.manifest["dirty"]:
        patch = "inputs.patch" if run.plan is not None else "the changes, which were not kept"
        lines.append(f"# built from uncommitted changes: git apply --index {patch}")
    if run.plan is None:
        return [*lines, _evaluate_weights(run)]
    spec, overrides = build.get("spec", f"{run.name}.yaml"), build.get("overrides") or []
    folder = built_folder(run.name, run.manifest["digest"], overrides)
    lines.append(
        shlex.join(["wavetwin", "build", *_flags(run, build), *_settings(overrides), spec])
    )
    training, launch = training_commands(folder, run.manifest.get("lives") or [])
    evaluations = dict.fromkeys(_evaluations(run, folder, launch.is_slurm_script))
    if launch.is_slurm_script and evaluations:
        training.append("# when the job has ended:")
    return [*lines, *training, *(line for command in evaluations for line in command)]


def _flags(run: Run, build: dict[str, Any]) -> list[str]:
    """Return the options without which `build` would refuse, or write another model."""
    flags = []
    if run.manifest["commit"] is None:
        flags.append("--no-git")
    elif run.manifest["dirty"]:
        flags.append("--allow-dirty")
    if build.get("passes") == []:
        flags.append("--no-passes")
    return flags


def _settings(overrides: Sequence[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def _evaluations(run: Run, folder: str, by_slurm_script: bool) -> Iterator[tuple[str, ...]]:
    """Yield the lines of each evaluation, without those that slurm.sh makes after training."""
    for record in run.scores:
        launch = Launch.from_record(record.get("launch"))
        if by_slurm_script and launch.launcher == "slurm.sh":
            continue
        arguments: list[str] = []
        if record.get("checkpoint") not in ("last", None):
            arguments += ["--weights", record["checkpoint"]]
        if record.get("limit_batches") is not None:
            arguments += ["--limit-batches", str(record["limit_batches"])]
        arguments += record.get("options", [])
        yield tuple(evaluation_command(launch, folder, arguments))


def _evaluate_weights(run: Run) -> str:
    last = run.scores[-1]
    arguments = ["wavetwin", "evaluate", last["weights_file"], "--spec", last["spec"]]
    if last.get("limit_batches") is not None:
        arguments += ["--limit-batches", str(last["limit_batches"])]
    arguments += last.get("options", [])
    return shlex.join([*arguments, *_settings(last.get("overrides") or [])])


def _sessions(run: Run) -> Markup | None:
    """Return the table of a run's sessions; None where one was enough."""
    sessions = run.manifest.get("lives") or []
    if len(sessions) < 2:
        return None
    header = ["start", "ended", "outcome", "steps", "command"]
    rows = [
        [
            str(session.get("started") or ""),
            str(session.get("ended") or ""),
            str(session.get("outcome") or ""),
            f"{session.get('first_step')} to {session.get('last_step')}",
            shlex.join(session.get("command") or []),
        ]
        for session in sessions
    ]
    return table(f"Times that training of {run.label} was started", header, rows, kind="text")


def _resolved_spec(run: Run) -> str | None:
    """Return the spec with every value filled in: it is a spec, and builds the same model."""
    file = run.folder / "spec.lock.yaml"
    if run.plan is None or not file.is_file():
        return None
    return file.read_text(encoding="utf-8", errors="replace")
