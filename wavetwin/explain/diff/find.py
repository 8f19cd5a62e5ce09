"""Find the source that an argument of the command line means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache
from wavetwin.compiler.parse.project import checked_project, find_project, is_fragment
from wavetwin.explain.diff.difference import Experiment
from wavetwin.explain.diff.scores import Measured
from wavetwin.explain.diff.source import SourceRequest, refused
from wavetwin.explain.diff.weights_file import read_header

MANIFEST, LOCK, WEIGHTS = "manifest.json", "spec.lock.yaml", "model.safetensors"
_WHAT = (
    "name a spec, a built folder (generated/NAME), a run folder (runs/NAME/RUN), a .safetensors "
    "file or a folder that holds model.safetensors"
)
_PICKLES = (".pt", ".pth", ".tar", ".ckpt", ".bin")


@dataclass
class SourceReader:
    """Reads the sources of one command; files that several share are parsed once."""

    project: Path | None = None
    """The project's root, where the user named one."""
    with_values: bool = False
    """Whether a run's last weights are wanted, too."""
    with_trials: bool = False
    """Whether scores of runs over a few batches are compared."""
    caches: dict[Path, SourceCache] = field(default_factory=dict[Path, SourceCache])

    def read(self, path: Path, overrides: Sequence[str] = ()) -> SourceRequest:
        """Return what a path means; overrides apply to specs.

        Raises:
            CompileError: it means nothing that can be compared, or it is damaged.
        """
        if os.path.isdir(path):  # noqa: PTH112  pathlib's question raises for impossible names
            source = self._read_folder(path)
        elif not os.path.lexists(path):
            raise refused("file-not-found", "there is no such file or folder", str(path), _WHAT)
        elif path.suffix == ".safetensors":
            source = self._read_weights(path, path)
        elif path.suffix in _PICKLES:
            raise refused(
                "weights-not-safetensors",
                "a pickle is not opened for a difference",
                str(path),
                "write it as .safetensors first: wavetwin import weights FILE --spec SPEC --out FILE",
            )
        else:
            return self._read_spec(path, overrides)
        if overrides:
            raise refused(
                "override-needs-spec",
                f"--set changes a spec, and this is a {source.kind}",
                str(path),
                "name the spec that it was made from, or leave --set out",
            )
        return source

    def read_at(self, spec: Path, revision: str, overrides: Sequence[str] = ()) -> SourceRequest:
        """Return a spec as it was at a commit.

        Raises:
            CompileError: there is no such commit, or no such spec in it.
        """
        from wavetwin.explain.diff.at_commit import compile_at

        found = compile_at(spec, revision, tuple(overrides), self.project)
        short = found.commit[:8]
        name = revision if found.commit.startswith(revision) else f"{revision} ({short})"
        label = f"{found.compiled.name} at {name}"
        experiment = Experiment(label, found.compiled, location_prefix=f"{short}:")
        return SourceRequest(f"{spec} at {name}", "commit", experiment)

    def _compile(self, path: Path, overrides: Sequence[str] = ()) -> Compiled:
        if self.project is None:
            project = find_project(path)
        else:
            project = checked_project(self.project, path)
        cache = self.caches.setdefault(project, SourceCache(project))
        return compile_spec(path, overrides, project, cache)

    def _read_spec(self, path: Path, overrides: Sequence[str]) -> SourceRequest:
        if is_fragment(path, self.project or find_project(path)):
            raise refused(
                "fragment",
                "this file is a part of specs, not a spec",
                str(path),
                "name a spec that extends it",
            )
        compiled = self._compile(path, overrides)
        label = compiled.name
        if overrides:
            label += f" with {', '.join(overrides)}"
        return SourceRequest(str(path), "spec", Experiment(label, compiled))

    def _read_folder(self, folder: Path) -> SourceRequest:
        if (folder / MANIFEST).is_file():
            manifest = _read_json(folder / MANIFEST)
            if manifest.get("wavetwin_run") == 1:
                return self._read_run(folder, manifest)
            if manifest.get("wavetwin_manifest") == 1:
                compiled = self._compile_lock(folder)
                _check_digest(folder, compiled.digest, manifest.get("digest"))
                from wavetwin.provenance.edits import find_edit, find_originals, write_difference

                edit = find_edit(folder)
                originals = find_originals(folder, edit.files) if edit.files else {}
                text = write_difference(edit, originals)
                experiment = Experiment(compiled.name, compiled)
                return SourceRequest(str(folder), "built folder", experiment, edit=text)
        if (folder / WEIGHTS).is_file():
            return self._read_weights(folder / WEIGHTS, folder)
        raise refused(
            "nothing-to-compare",
            "this folder is neither a build, nor a run, nor a checkpoint",
            str(folder),
            _WHAT,
        )

    def _read_run(self, folder: Path, manifest: dict[str, Any]) -> SourceRequest:
        from wavetwin.explain.runs.documents import UnreadableRunError
        from wavetwin.explain.runs.scores import read_scores
        from wavetwin.runtime.training.run_names import trial_mark

        compiled = self._compile_lock(folder)
        # A run may be judged by another evaluation than it was started with.
        _check_digest(folder, compiled.training_digest, manifest.get("training_digest"))
        try:
            scores, _ = read_scores(folder / "scores.json")
        except UnreadableRunError as reason:
            raise refused(
                "source-damaged",
                f"the run's scores cannot be read: {reason}",
                str(folder),
                "move scores.json away, and evaluate the run again",
            ) from reason
        measured = {
            each.name: Measured(each.name, each.value, each.low, each.high) for each in scores
        }
        label = f"{compiled.name}/{folder.resolve().name}"
        trial, left_out = trial_mark(manifest), ""
        if trial:
            label += f", {trial}"
        if trial and measured and not self.with_trials:
            left_out, measured = f"the scores of {label}; --trials takes them in", {}
        weights = None
        if self.with_values:
            weights = read_header(folder / "checkpoints" / "last" / WEIGHTS)
        return SourceRequest(
            str(folder),
            "run",
            Experiment(label, compiled, measured),
            weights,
            _edit_of(folder),
            left_out,
        )

    def _read_weights(self, file: Path, named: Path) -> SourceRequest:
        """Return a weights file, with the experiment of the run that it lies in, if it does."""
        weights = read_header(file)
        for folder in list(file.absolute().parents)[:3]:
            if (folder / MANIFEST).is_file():
                manifest = _read_json(folder / MANIFEST)
                if manifest.get("wavetwin_run") == 1:
                    run = self._read_run(folder, manifest).experiment
                    assert run is not None
                    inside = file.absolute().relative_to(folder).as_posix()
                    experiment = replace(run, label=f"{run.label}:{inside}", measured={})
                    return SourceRequest(str(named), "weights file", experiment, weights)
        return SourceRequest(str(named), "weights file", None, weights)

    def _compile_lock(self, folder: Path) -> Compiled:
        lock = folder / LOCK
        if not lock.is_file():
            raise refused(
                "source-damaged",
                f"{LOCK}, which says what the folder is of, is missing",
                str(folder),
                "build the spec again, and copy the file from the new build's folder",
            )
        return self._compile(lock)


def _edit_of(folder: Path) -> str:
    """Return the difference that a run of edited scripts keeps; empty for another run."""
    from wavetwin.provenance.edits import EDIT_DIFFERENCE

    file = folder / EDIT_DIFFERENCE
    return file.read_text("utf-8", "replace") if file.is_file() else ""


def is_foreign(path: Path) -> bool:
    """Return whether a path is a folder that no source is: a pattern of a shell finds such ones, too."""
    inside = (MANIFEST, WEIGHTS)
    return os.path.isdir(path) and not any((path / name).exists() for name in inside)  # noqa: PTH112


def _check_digest(folder: Path, digest: str, recorded: object) -> None:
    """Refuse a folder whose spec is not the one that its manifest is of."""
    if digest != recorded:
        raise refused(
            "source-damaged",
            f"{LOCK} is not of the digest that {MANIFEST} records: one of them was edited",
            str(folder),
            "build the spec again, or name the spec itself",
        )


def _read_json(file: Path) -> dict[str, Any]:
    from wavetwin.explain.runs.documents import UnreadableRunError, read_json

    try:
        return read_json(file)
    except UnreadableRunError as reason:
        raise refused(
            "source-damaged", str(reason), str(file.parent), "build it, or start the run, again"
        ) from reason
