"""Load a run: its network with weights, its spec, its scores, its metrics and its images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.explain.runs.documents import UnreadableRunError
from wavetwin.explain.runs.scores import Score, read_scores
from wavetwin.ir.graph import ModuleGraph
from wavetwin.provenance.edits import edit_mark
from wavetwin.provenance.package import imported_package
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.run_names import trial_mark

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from wavetwin.compiler.schema import ExperimentSpec
    from wavetwin.explain.report.runs import Run as Documents
    from wavetwin.notebook.run_images import RunImages

__all__ = ["Run", "load_run"]

_LOCK = "spec.lock.yaml"
_TIME = "time"
"""Section of a line of metrics.jsonl whose numbers need no prefix."""
_COPY_AGAIN = "copy the run's folder again, whole"
_OF_THE_MODEL = ("model.py", "graph.json")
"""What says which network was trained."""
_SHOWN = "one_crop.test"
"""How the names of scores begin that a line about a run shows."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run, with one of its weights files; made by `wavetwin.load_run` and by `wavetwin.train`.

    Everything is read when it is asked for: of a run that goes on training, `load_run` again.
    """

    path: Path
    """The run's folder."""
    which: str
    """Which weights: `last`, `best`, `average`, or a snapshot such as `epoch-030`."""
    epochs: int
    """After how many epochs the weights were written."""
    weights_file: Path
    compiled: Compiled
    """The experiment, from the run's own spec."""
    notes: tuple[str, ...]
    """What keeps it from being a clean result: uncommitted changes, few batches, another wavetwin."""
    documents: Documents
    """Its manifest, plan, records of scores and epochs, as reports read them."""

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.compiled.name

    @property
    def spec(self) -> ExperimentSpec:
        """The spec with every value filled in."""
        return self.compiled.spec

    @property
    def num_epochs(self) -> int:
        """Epochs of the whole training."""
        assert self.documents.plan is not None
        return self.documents.plan.epochs

    @cached_property
    def model(self) -> nn.Module:
        """The network with the weights, in evaluation mode, on the CPU.

        It is that of `wavetwin.build_model`: sections `stem`, `pool`, `trunk`, layers by the names of
        the graph, so `model.trunk.layer4` takes a hook. It takes normalised images, as `data` gives.

        Raises:
            RunError: the weights are damaged, or not what the run saved.
        """
        import torch

        from wavetwin.notebook.network import build_network
        from wavetwin.runtime.evaluation.scores_file import saved_digest
        from wavetwin.runtime.training.checkpoint import load_weights_bytes
        from wavetwin.runtime.training.saved_state import check_weights

        try:
            content = self.weights_file.read_bytes()
        except OSError as error:
            raise RunError(
                "file-unreadable",
                f"cannot be read: {error.strerror or error}",
                "if the run is training, load it again",
                subject=self.weights_file,
            ) from error
        expected = saved_digest(self.path, self.which, self.compiled.training_digest)
        if expected is not None:
            digest = hashlib.sha256(content).hexdigest()
            check_weights(self.weights_file, digest, expected)
        # Weights that are made in inference mode could never have a gradient, and the model is kept.
        with torch.inference_mode(False):
            model = build_network(self.compiled)
            load_weights_bytes(model, content, self.weights_file)
        return model.eval()

    @property
    def scores(self) -> dict[str, Score]:
        """Scores with 95 % intervals by their names, such as `one_crop.test.top1_error`.

        Of several records of an entry and the same weights the one that counts (docs/evaluation.md);
        names of scores of other weights than the last ones say so: `one_crop.test.best.top1_error`.

        Raises:
            RunError: scores.json is damaged.
        """
        try:
            scores, _ = read_scores(self.path / "scores.json", all_weights=True)
        except UnreadableRunError as error:
            raise RunError(
                "file-damaged", f"{error}", "move it away, and evaluate again", subject=self.path
            ) from error
        return {score.name: score for score in scores}

    def metrics(self) -> dict[str, np.ndarray]:
        """Return a value an epoch of each figure that training records, as float64 arrays.

        `epoch`, `step`, `lr`, `seconds`, `train.loss`, `train.top1_error`, `validation.loss`, ...; NaN
        where an epoch has none.
        """
        import numpy as np

        rows = [dict(_numbers(line)) for line in self.documents.epochs]
        names = dict.fromkeys(name for row in rows for name in row)
        return {
            name: np.array([row.get(name, math.nan) for row in rows], dtype=np.float64)
            for name in names
        }

    def data(self, split: str = "test", data_root: Path | str | None = None) -> RunImages:
        """Return the images of a split as the network takes them: a sequence of (image, label).

        Args:
            split: `train`, `validation` or `test`; training images are not augmented.
            data_root: where the data sets lie; None: as for the scripts.

        Raises:
            RunError: they are not there, or their classes have other numbers than in the run.
        """
        from wavetwin.notebook.run_images import RunImages

        return RunImages.of_run(self.documents, split, data_root)

    def __repr__(self) -> str:
        status = self.documents.manifest["status"]
        parts = [f"{self.which} weights after {self.epochs} of {self.num_epochs} epochs"]
        parts += [status, *_shown_scores(self.scores)]
        return f"Run({self.name} {self.path.name}: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        from wavetwin.notebook.cards import run_card

        return run_card(self)


def load_run(path: Path | str, which: str = "best") -> Run:
    """Load a run folder, `runs/<name>/<run>`.

    What the folder says of itself is compared first, as evaluate.py does: that spec, graph, state and
    weights belong together.

    Args:
        path: the folder.
        which: `best` (on the validation images), `last`, `average`, or `epoch-N`.

    Raises:
        RunError: it is no run, a file is missing, damaged or of another run, it has no such weights,
            or its model.py was edited, so that its spec does not say what was trained.
        CompileError: its spec is not one of this version of wavetwin.
    """
    from wavetwin.explain.report.runs import read_run
    from wavetwin.runtime.evaluation.scores_file import find_weights
    from wavetwin.runtime.process.scripts import weights_name

    folder = Path(path)
    documents = read_run(folder)
    name = weights_name(which)
    if name is None:
        raise RunError(
            "bad-argument", f"which is {which!r}", "ask for best, last, average or epoch-N"
        )
    compiled = _compile(folder, documents.manifest)
    _check_graph(documents, compiled)
    file, epochs = find_weights(folder, name, compiled.training_digest)
    return Run(folder, name, epochs, file, compiled, tuple(_notes(documents)), documents)


def _compile(folder: Path, manifest: Mapping[str, Any]) -> Compiled:
    """Return the experiment of the run's spec, which has to be the one that it was trained by."""
    lock = folder / _LOCK
    if not lock.is_file():
        raise RunError(
            "file-damaged", f"is not whole: it has no {_LOCK}", _COPY_AGAIN, subject=folder
        )
    edited = (manifest.get("edited") or {}).get("files", {})
    if not edited.keys().isdisjoint(_OF_THE_MODEL):
        raise RunError(
            "run-differs",
            "was trained with an edited model.py or graph.json: its spec does not say what it is of",
            "train what the spec says, or load the run's own model.py with "
            "wavetwin.runtime.load_build_model",
            subject=folder,
        )
    compiled = compile_spec(lock)
    if compiled.training_digest != manifest["training_digest"]:
        raise RunError(
            "run-differs",
            f"has a {_LOCK} of another training than its manifest.json: one of them was changed",
            _COPY_AGAIN,
            subject=folder,
        )
    return compiled


def _check_graph(documents: Documents, compiled: Compiled) -> None:
    """Compare the graph that was trained with the one that the spec has now.

    Raises:
        RunError: this version of wavetwin builds another network, or the file is missing or damaged.
    """
    from wavetwin.explain.report.runs import graph_of

    kept = graph_of(documents)
    if kept is None:
        raise RunError(
            "file-damaged",
            "is not whole: it has no graph.json",
            _COPY_AGAIN,
            subject=documents.folder,
        )
    if _network(kept) != _network(compiled.graph):
        raise RunError(
            "run-differs",
            "is of another network than this wavetwin makes of the run's spec",
            "load it with the wavetwin of the run's commit, which its manifest.json names",
            subject=documents.folder / "graph.json",
        )


def _network(graph: ModuleGraph) -> list[tuple[object, ...]]:
    """Return what a graph computes: nodes name lines of the spec, too, and a lock has other lines."""
    return [(node.id, node.operation, node.inputs, node.output_shape) for node in graph]


def _notes(documents: Documents) -> list[str]:
    manifest = documents.manifest
    notes = ["built from uncommitted changes"] if manifest["dirty"] else []
    notes += manifest["drift"]
    notes += [mark for mark in (trial_mark(manifest), edit_mark(manifest)) if mark]
    own = next((each for each in manifest.get("sources", []) if each.get("role") == "wavetwin"), {})
    digest = own.get("package_digest")
    if digest is not None and digest != imported_package().digest:
        notes.append("trained with another wavetwin than the one that is imported")
    return notes


def _numbers(line: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return the numbers of a line of metrics.jsonl by dotted names; those of `time` without it."""
    found: list[tuple[str, float]] = []
    for name, value in line.items():
        if isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            found += _numbers(inner, "" if name == _TIME else f"{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((prefix + name, float(value)))
    return found


def _shown_scores(scores: Mapping[str, Score]) -> list[str]:
    """Return the top-1 errors of one crop, whichever weights they are of."""
    return [
        f"{name} {score.value:.4f}"
        for name, score in scores.items()
        if name.startswith(_SHOWN) and name.endswith(".top1_error")
    ]
