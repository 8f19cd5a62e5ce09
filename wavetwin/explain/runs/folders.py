"""Read run folders: what the index keeps of one, and why one cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from wavetwin.explain.runs.documents import UnreadableRunError, check_text, read_json
from wavetwin.explain.runs.scores import Score, read_scores
from wavetwin.provenance.edits import edit_mark
from wavetwin.runtime.training.records import read_epochs
from wavetwin.runtime.training.run_names import trial_mark

__all__ = ["RunInfo", "read_folder", "scan", "stamp_of"]

T = TypeVar("T")

SPEC = "spec.lock.yaml"
FROZEN = "frozen"
"""Beside an experiment's runs: its frozen jobs, which are no runs."""
_WATCHED = ("manifest.json", "scores.json", "metrics.jsonl", SPEC)
"""A folder is read again when the time or the size of one of these changes."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What the index keeps of a run; None where the folder does not say."""

    path: str
    """`<name>/<run>`, below the folder of runs."""
    name: str
    run: str
    status: str
    seed: int | None
    digest: str
    training_digest: str
    model_digest: str
    commit: str | None
    marks: tuple[str, ...]
    """What sets the run apart from a clean one: that it is a trial, `dirty`, `no-git`, drift, damaged
    images, scores of a few batches or of other weights than the last."""
    limit_batches: int | None
    """Of a trial: the batches of an epoch; None of a whole run."""
    parameters: int | None
    macs: int | None
    epochs: int
    """Finished ones."""
    training_seconds: float | None
    started: str | None
    ended: str | None
    tags: tuple[str, ...]
    fields: Mapping[str, Any]
    """Of the resolved spec, by dotted name; a list of single values is one value."""
    scores: tuple[Score, ...]
    """Of the record of each entry that counts; of the test images and one crop first."""
    warnings: tuple[str, ...] = ()
    """What of the folder could not be read, while the rest could."""


def scan(runs: Path) -> Iterator[tuple[str, Path]]:
    """Yield `<name>/<run>` and the folder of everything that lies where runs do, in order.

    A folder that may not be looked into is yielded itself: reading it says what is wrong. So is one
    whose folders hold no file of a run, such as pictures of a report: one line is enough for it.
    """
    if not runs.is_dir():
        return
    for experiment in sorted(runs.iterdir()):
        if experiment.is_dir() and not experiment.name.startswith("."):
            try:
                folders = sorted(experiment.iterdir())
            except PermissionError:
                yield experiment.name, experiment
                continue
            folders = [
                folder
                for folder in folders
                if folder.is_dir() and folder.name != FROZEN and not folder.name.startswith(".")
            ]
            if folders and not any(map(_has_run_files, folders)):
                yield experiment.name, experiment
                continue
            for folder in folders:
                yield f"{experiment.name}/{folder.name}", folder


def _has_run_files(folder: Path) -> bool:
    """Return whether a file of a run lies in a folder; one that may not be looked into may have some."""
    for name in _WATCHED:
        try:
            (folder / name).stat()
        except FileNotFoundError:
            continue
        except OSError:
            return True
        return True
    return False


def stamp_of(folder: Path) -> str:
    """Return times and sizes of the files that the index reads, as one text."""
    parts: list[str] = []
    for name in _WATCHED:
        try:
            found = (folder / name).stat()
        except OSError:
            parts.append("-")
            continue
        parts.append(f"{found.st_mtime_ns}:{found.st_size}")
    return " ".join(parts)


def read_folder(path: str, folder: Path) -> RunInfo:
    """Read a run folder.

    Raises:
        UnreadableRunError: it is no run of this version, or a file of it is damaged.
    """
    check_text(path)
    manifest = read_json(folder / "manifest.json")
    if manifest.get("wavetwin_run") != 1:
        raise UnreadableRunError("manifest.json is not one of a run of this version of wavetwin")
    warnings: list[str] = []
    document = _read_spec(folder / SPEC, warnings)
    sessions: list[dict[str, Any]] = _member(manifest, "lives", list, [])
    if not all(isinstance(session, dict) for session in cast("list[object]", sessions)):
        raise UnreadableRunError("manifest.json: 'lives' is not a list of mappings")
    counts: dict[str, Any] = _member(manifest, "parameters", dict, {})
    tags = cast("list[object]", document["tags"]) if _is_list(document.get("tags")) else []
    seconds = _optional(manifest, "training_seconds", (int, float))
    scores, score_marks = read_scores(folder / "scores.json")
    return RunInfo(
        path=path,
        name=_member(manifest, "name", str),
        run=_member(manifest, "run", str),
        status=_member(manifest, "status", str),
        seed=_optional(manifest, "seed", int),
        digest=_member(manifest, "digest", str),
        training_digest=_member(manifest, "training_digest", str),
        model_digest=_member(manifest, "model_digest", str, ""),
        commit=_optional(manifest, "commit", str),
        marks=(*_marks(manifest), *score_marks),
        limit_batches=_optional(manifest, "limit_batches", int),
        parameters=sum(count for count in counts.values() if isinstance(count, int))
        if counts
        else None,
        macs=_optional(manifest, "macs", int),
        epochs=_count_epochs(folder / "metrics.jsonl"),
        training_seconds=None if seconds is None else float(seconds),
        started=_optional(sessions[0], "started", str) if sessions else None,
        ended=_optional(sessions[-1], "ended", str) if sessions else None,
        tags=tuple(str(tag) for tag in tags),
        fields=dict(_flatten(document)),
        scores=tuple(scores),
        warnings=tuple(warnings),
    )


def _member(document: Mapping[str, Any], key: str, kind: type[T], default: T | None = None) -> T:
    value = document.get(key, default)
    if not isinstance(value, kind):
        raise UnreadableRunError(f"manifest.json: '{key}' is missing or not of its kind")
    if isinstance(value, str):
        check_text(value)
    return value


def _optional(document: Mapping[str, Any], key: str, kind: Any) -> Any:
    value = document.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise UnreadableRunError(f"manifest.json: '{key}' is not of its kind")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UnreadableRunError(f"manifest.json: '{key}' is too large")
    if isinstance(value, str):
        check_text(value)
    return value


def _marks(manifest: Mapping[str, Any]) -> Iterator[str]:
    if trial_mark(manifest):
        yield trial_mark(manifest)
    if edit_mark(manifest):
        yield edit_mark(manifest)
    if manifest.get("dirty"):
        yield "dirty"
    if not manifest.get("git", True):
        yield "no-git"
    drift: list[object] = _member(manifest, "drift", list, [])
    yield from map(str, drift)
    bad: dict[str, Any] = _member(manifest, "bad_images", dict, {})
    if bad:
        yield f"{len(bad)} bad images"


def _count_epochs(file: Path) -> int:
    """Return the last epoch that was finished; an unfinished last line is left out."""
    last = 0
    try:
        for record in read_epochs(file):
            last = record["epoch"]
    except (OSError, ValueError) as error:
        raise UnreadableRunError(f"{file.name} cannot be read: {error}") from error
    return last


def _read_spec(file: Path, warnings: list[str]) -> dict[str, Any]:
    """Return the resolved spec as plain values; empty where the run keeps none."""
    if not file.is_file():
        return {}
    from wavetwin.compiler.parse.tree import parse_bytes

    try:
        parsed = parse_bytes(file.read_bytes(), file.name)
    except OSError as error:
        warnings.append(f"{file.name} cannot be read: {error}")
        return {}
    if parsed.tree is None or parsed.diagnostics:
        found = parsed.diagnostics[0].headline if parsed.diagnostics else "it is empty"
        warnings.append(f"{file.name} cannot be read: {found}")
        return {}
    return _plain(parsed.tree)


def _plain(node: Any) -> Any:
    if isinstance(node.value, dict):
        members = cast("dict[str, Any]", node.value)
        return {key: _plain(item) for key, item in members.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in cast("list[Any]", node.value)]
    return node.value


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    items: list[tuple[str, Any]]
    if isinstance(value, dict):
        items = list(cast("dict[str, Any]", value).items())
    elif _is_list(value) and any(isinstance(item, dict | list) for item in value):
        items = [(str(position), item) for position, item in enumerate(cast("list[Any]", value))]
    else:
        yield name, value
        return
    for key, item in items:
        yield from _flatten(item, f"{name}.{key}" if name else key)


def _is_list(value: object) -> bool:
    return isinstance(value, list)
