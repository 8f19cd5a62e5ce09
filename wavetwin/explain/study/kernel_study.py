"""Run `kernels`: compare two first layers, from specs, built folders, runs and weights."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.compiler.compiled import compile_spec
from wavetwin.explain.show.kernel_picture import draw_kernels
from wavetwin.explain.study.first_layer import FirstLayer, initial_layer, trained_layer
from wavetwin.explain.study.kernels import KernelStudy, study_kernels
from wavetwin.explain.study.result import Picture, Result
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json
from wavetwin.runtime.training.checkpoint import WEIGHTS, find_last
from wavetwin.runtime.training.run_names import trial_mark

__all__ = ["KernelOptions", "study_two_layers"]


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """What the command line says."""

    sources: tuple[Path, Path]
    """Specs, built folders or runs."""
    weights: tuple[Path | None, Path | None]
    """Of each; None: a run's last ones, or else the initial ones."""
    state_dicts: tuple[str | None, str | None]
    """The key of the state dict in each of the weights, where there are several."""
    side: int | None
    seed: int


@dataclass(frozen=True, eq=False)
class _Source:
    layer: FirstLayer
    untrained: FirstLayer | None
    """The same layer as training begins; None where `layer` is that."""
    info: Mapping[str, Any]


def study_two_layers(options: KernelOptions) -> Result:
    """Compare two first layers.

    Raises:
        RunError: a source is none, weights are of another model, or SciPy is not installed.
        CompileError: a spec is at fault.
    """
    both = [
        _read(source, weights, key)
        for source, weights, key in zip(
            options.sources, options.weights, options.state_dicts, strict=True
        )
    ]
    untrained = {
        f"{each.untrained.name} (untrained)": each.untrained
        for each in both
        if each.untrained is not None
    }
    study = study_kernels(
        both[0].layer, both[1].layer, untrained, side=options.side, seed=options.seed
    )
    summary, *tables = study.tables()
    return Result(
        study="kernels",
        title="How alike two first layers are",
        notes=(
            "Every kernel is the one convolution that the layer amounts to, its colours summed, cut "
            f"to the {study.side} x {study.side} taps that hold most of its energy; of the first "
            f"layer's energy the windows keep {study.first_energy_kept:.1%}. Two kernels are as alike "
            "as the largest modulus of their inner product over all shifts; the pairing is the best "
            "one. `analytic` compares without regard to the phase.",
            "No definition is published: this one, and the threshold, are this project's.",
        ),
        summaries=[summary],
        tables=tables,
        pictures=_pictures(study),
        protocol={
            "side": study.side,
            "random_kernels": "independent normal weights, as many as the second layer has",
            "strides": [study.first.stride, study.second.stride],
        },
        inputs=[each.info for each in both],
    )


def _read(source: Path, weights: Path | None, key: str | None) -> _Source:
    """Return a first layer of a spec, a built folder or a run."""
    trial = ""
    if source.is_dir():
        graph, plan, project = _read_folder(source)
        trial = trial_mark(read_json(source / "manifest.json"))
        last = find_last(source / "checkpoints")
        weights = weights or (None if last is None else last / WEIGHTS)
    else:
        compiled = compile_spec(source)
        graph, plan, project = compiled.graph, compiled.plan, compiled.project
    initial = initial_layer(graph, plan, project)
    name = f"{plan.name}, {trial}" if trial else plan.name
    info = {"name": name, "model_digest": plan.model_digest}
    if weights is None:
        if key is not None:
            raise RunError(
                "bad-argument",
                f"has no weights file whose state dict {key} could be taken",
                "name it by --first-weights or --second-weights",
                subject=source,
            )
        return _Source(initial, None, {**info, "weights": f"initial, seed {plan.seed}"})
    layer = trained_layer(graph, plan, weights, key)
    info |= {"weights": weights.name, "weights_sha256": layer.weights_sha256}
    return _Source(layer, initial, info)


def _read_folder(folder: Path) -> tuple[ModuleGraph, TrainingPlan, Path]:
    """Return the documents of a built folder or a run, and its project's root."""
    for name in ("graph.json", "plan.json", "manifest.json"):
        if not (folder / name).is_file():
            raise RunError(
                "not-a-run",
                f"is no built folder and no run: it has no {name}",
                "name a spec, a folder of generated/, or one of runs/<name>/",
                subject=folder,
            )
    try:
        graph = ModuleGraph.from_json(read_json(folder / "graph.json"))
        plan = TrainingPlan.from_json(read_json(folder / "plan.json"))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            "other-version", f"is of another version of wavetwin: {error}", subject=folder
        ) from error
    # <project>/generated/<name>, <project>/runs/<name>/<run>.
    is_run = "wavetwin_run" in read_json(folder / "manifest.json")
    above = folder.resolve().parents
    # A copy may lie at the top of the file system, with less above it.
    return graph, plan, above[min(2 if is_run else 1, len(above) - 1)]


def _pictures(study: KernelStudy) -> list[Picture]:
    pictures: list[Picture] = []
    for which, layer in (("first", study.first), ("second", study.second)):
        content = io.BytesIO()
        draw_kernels(layer.kernel, layer.name).save(content, format="PNG", optimize=True)
        caption = f"Kernels of {layer.name}"
        pictures.append(Picture(caption, content.getvalue(), f"picture_{which}"))
    return pictures
