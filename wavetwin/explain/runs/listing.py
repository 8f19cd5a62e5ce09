"""List runs as tables and as JSON, for `wavetwin runs`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from wavetwin.diagnostics.listing import list_some
from wavetwin.explain.runs.folders import RunInfo
from wavetwin.explain.runs.scores import Score
from wavetwin.explain.runs.select import find_score
from wavetwin.explain.start_command import built_folder, training_commands
from wavetwin.explain.text_table import align
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.training.run_documents import StartSummary
from wavetwin.runtime.training.run_names import trial_mark

__all__ = ["compare_document", "compare_table", "list_table", "run_document", "show_text"]

ERROR = "one_crop.top1_error"
"""The score that a list shows of every run that has it."""


def list_table(runs: Sequence[RunInfo], scores: Sequence[str] = ()) -> str:
    """Return a line a run; `scores` are shown beside the error."""
    error = Score("one_crop.test.top1_error", 0.0, None, None)
    others = [name for name in scores if find_score(name, [error]) is None]
    columns = list(dict.fromkeys([ERROR, *others]))
    header = ["run", "status", "epochs", *(_heading(name) for name in columns)]
    rows = [[*header, "commit", "started", "marks"]]
    for run in runs:
        values = [_value(find_score(name, run.scores)) for name in columns]
        commit = (run.commit or "none")[:8]
        started = (run.started or "")[:16].replace("T", " ")
        marks = ", ".join(run.marks)
        rows.append([run.path, run.status, str(run.epochs), *values, commit, started, marks])
    return "\n".join(align(rows, right=range(2, 3 + len(columns)))) + "\n"


def show_text(run: RunInfo, folder: Path) -> str:
    """Return all about a run: info, sessions, scores, files, how to reproduce it."""
    info = [
        ("run", run.path),
        ("status", run.status),
        ("marks", ", ".join(run.marks) or "none"),
        ("tags", ", ".join(run.tags)),
        ("summary", str(run.fields.get("summary", ""))),
        ("commit", run.commit or "none"),
        ("digest", run.digest),
        ("training", run.training_digest),
        ("model", run.model_digest),
        ("seed", _text(run.seed)),
        *_start_rows(_document(folder / "manifest.json")),
        ("parameters", "" if run.parameters is None else f"{run.parameters:,}"),
        ("MACs", "" if run.macs is None else f"{run.macs:,}"),
        ("epochs", str(run.epochs)),
        ("trained", "" if run.training_seconds is None else f"{run.training_seconds:.0f} s"),
        ("started", run.started or ""),
        ("ended", run.ended or ""),
    ]
    blocks = ["\n".join(align([row for row in info if row[1]]))]
    manifest = _document(folder / "manifest.json")
    sessions = _session_rows(manifest)
    if sessions:
        rows = [["session", "steps", "started", "ended", "outcome", "device", "command"], *sessions]
        blocks.append("\n".join(align(rows)))
    if run.scores:
        rows = [["score", "value", "95 %"]]
        rows += [[score.name, f"{score.value:z.4f}", _ends(score)] for score in run.scores]
        blocks.append("\n".join(align(rows, right=(1,))))
    if run.fields:
        rows = [["field", "value"], *([name, _text(value)] for name, value in run.fields.items())]
        blocks.append("\n".join(align(rows)))
    blocks.append("\n".join(["files", *(f"  {line}" for line in _files(folder))]))
    build = _document(folder / "build.json")
    blocks.append(
        "\n".join(["reproduce", *(f"  {line}" for line in _reproduce(run, build, manifest))])
    )
    return "\n\n".join(blocks) + "\n"


def _start_rows(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a run started from, where it loaded weights."""
    start = manifest.get("starting_weights")
    if not isinstance(start, dict):
        return []
    found = cast("StartSummary", start)
    rows = [
        ("started from", f"{found['file']}, SHA-256 {found['sha256'][:16]}"),
        ("loaded", f"{found['loaded']} tensors, {found['parameters']:,} parameters"),
    ]
    if found["fresh"]:
        rows.append(("began anew", list_some(found["fresh"])))
    if found["left_over"] or found["skipped"]:
        rows.append(
            ("left", f"{found['left_over']} tensors in the file, {found['skipped']} did not fit")
        )
    if errors := found.get("projection_errors"):
        rows.append(
            (
                "projected",
                f"{len(errors)} channels, relative errors {min(errors):.3f} to {max(errors):.3f}",
            )
        )
    return rows


def compare_table(runs: Sequence[RunInfo]) -> str:
    """Return the info and the fields that differ, and the scores side by side."""
    document = compare_document(runs)
    blocks: list[str] = []
    # A trial is marked even where all of them are one, and marks do not differ.
    header = ["", *(_column_title(run) for run in runs)]
    for title, rows in (("info", document["info"]), ("spec", document["fields"])):
        if rows:
            cells = [[name, *map(_text, values)] for name, values in rows.items()]
            blocks.append("\n".join(align([[title, *header[1:]], *cells])))
        else:
            blocks.append(f"{title}: no difference")
    if document["scores"]:
        cells = [
            [name, *(_value(find_score_exactly(name, run.scores), ends=True) for run in runs)]
            for name in document["scores"]
        ]
        blocks.append("\n".join(align([["score [95 %]", *header[1:]], *cells])))
    without = [run.path for run in runs if not run.fields]
    if without:
        blocks.append(f"without a copy of their spec: {list_some(without)}")
    return "\n\n".join(blocks) + "\n"


def compare_document(runs: Sequence[RunInfo]) -> dict[str, Any]:
    """Return what `compare` shows, as JSON values: each row has a value a run, null for none."""
    info = {
        name: [getattr(run, name) for run in runs]
        for name in ("commit", "status", "epochs", "parameters", "macs", "training_seconds")
    }
    info["marks"] = [", ".join(run.marks) for run in runs]
    fields = {
        name: [run.fields.get(name) for run in runs]
        for name in _union(run.fields for run in runs if run.fields)
        if name != "name"
    }
    names = _union([score.name for score in run.scores] for run in runs)
    return {
        "runs": [run.path for run in runs],
        "info": {name: values for name, values in info.items() if _differ(values)},
        "fields": {name: values for name, values in fields.items() if _differ(values)},
        "scores": {
            name: [_score_document(find_score_exactly(name, run.scores)) for run in runs]
            for name in names
        },
    }


def _column_title(run: RunInfo) -> str:
    mark = trial_mark({"limit_batches": run.limit_batches})
    return f"{run.path}, {mark}" if mark else run.path


def run_document(run: RunInfo) -> dict[str, Any]:
    """Return a run as JSON values."""
    names = (
        "path", "name", "run", "status", "seed", "digest", "training_digest", "model_digest",
        "commit", "marks", "limit_batches", "parameters", "macs", "epochs", "training_seconds", "started", "ended",
        "tags",
    )  # fmt: skip
    info: dict[str, Any] = {name: getattr(run, name) for name in names}
    scores = {score.name: _score_document(score) for score in run.scores}
    return info | {"fields": dict(run.fields), "scores": scores}


def find_score_exactly(name: str, scores: Iterable[Score]) -> Score | None:
    """Return the score of a full name."""
    return next((score for score in scores if score.name == name), None)


def _score_document(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {"value": score.value, "low": score.low, "high": score.high}


def _heading(name: str) -> str:
    return "top-1 error" if name == ERROR else name


def _value(score: Score | None, *, ends: bool = False) -> str:
    if score is None:
        return ""
    return f"{score.value:z.4f} {_ends(score)}".rstrip() if ends else f"{score.value:z.4f}"


def _ends(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"[{score.low:z.4f}, {score.high:z.4f}]"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _union(groups: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _document(file: Path) -> dict[str, Any]:
    """Return a JSON object; empty where there is none or it is damaged, as the index has reported."""
    try:
        document: object = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return _mapping(document)


def _session_rows(manifest: dict[str, Any]) -> list[list[str]]:
    rows: list[list[str]] = []
    for number, session in enumerate(manifest.get("lives", []), 1):
        machine = _mapping(session.get("machine"))
        rows.append(
            [
                str(number),
                f"{session.get('first_step')} to {session.get('last_step')}",
                _text(session.get("started")),
                _text(session.get("ended")),
                _text(session.get("outcome")),
                _text(machine.get("device")),
                _command(session),
            ]
        )
    return rows


def _files(folder: Path) -> list[str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [
        [path.relative_to(folder).as_posix(), f"{path.stat().st_size:,} bytes"] for path in found
    ]
    return align(rows, right=(1,)) if rows else []


def _reproduce(run: RunInfo, build: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """Return commands that build and train the same again, or why there are none."""
    if run.commit is None:
        return ["the run is of no commit: it cannot be built again from its files alone"]
    location = f"../at-{run.commit[:8]}"
    lines = [f"git worktree add {location} {run.commit} && cd {location}"]
    if "dirty" in run.marks:
        lines.append("git apply PATCH  # inputs.patch of the folder that the run was built in")
    spec = build.get("spec")
    if isinstance(spec, str):
        overrides = [word for text in build.get("overrides", []) for word in ("--set", str(text))]
        dirty = ["--allow-dirty"] if "dirty" in run.marks else []
        lines.append(shlex.join(["wavetwin", "build", spec, *overrides, *dirty]))
        folder = built_folder(run.name, run.digest, build.get("overrides", []))
        lines += training_commands(folder, manifest.get("lives") or [])[0]
    return lines


def _command(session: dict[str, Any]) -> str:
    command = session.get("command")
    return shlex.join(map(str, cast("list[object]", command))) if isinstance(command, list) else ""


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
