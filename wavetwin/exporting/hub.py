"""Write a run as the folder that a hub of models holds: config.json, model.safetensors, README.md."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from wavetwin.compiler.render.files import text_environment
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.resolve.own_code import find_own_code
from wavetwin.diagnostics.listing import list_some
from wavetwin.files.atomic import staged
from wavetwin.notebook.loaded_run import Run
from wavetwin.notebook.pretrained import CARD, CONFIG, METADATA, WEIGHTS, read_pretrained
from wavetwin.provenance.package import imported_package
from wavetwin.runtime.data.class_record import CLASS_NAMES
from wavetwin.runtime.data.statistics import known_statistics
from wavetwin.runtime.evaluation.class_counts import class_labels
from wavetwin.runtime.process.errors import RunError, write_code

__all__ = ["export_hub", "noise_images"]

_IMAGES = 4
_TEMPLATE = "hub/README.md.j2"
_ACCURACY = "top1_error"


def export_hub(run: Run, folder: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write a run's network, and compare its outputs with those that the folder gives when it is loaded.

    Args:
        run: with the weights that are to be written.
        folder: a new or empty one.
        force: replace the three files where they are there.

    Returns:
        the files.

    Raises:
        RunError: `cannot-export`, the spec names code of the project; `export-differs`; the folder has
            files of these names, or cannot be written.
    """
    own = [path for path, _ in find_own_code(run.spec)]
    if own:
        raise RunError(
            "cannot-export",
            f"needs code of its project ({list_some(own)}), which a hub's folder would have to run",
            "export a program instead: wavetwin export torch RUN FILE.pt2, or onnx",
            subject=run.path,
        )
    names = (CONFIG, WEIGHTS, CARD)
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise RunError(
            "output-exists",
            f"has {list_some(there)} already; nothing was written",
            "name another folder, or replace them with --force",
            subject=folder,
        )
    contents = {
        CONFIG: _config(run),
        WEIGHTS: _weights(run),
        CARD: _card(run).encode(),
    }
    _check(run, contents)
    files = {folder / name: content for name, content in contents.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with staged(files) as put:
            for file in files:
                put(file)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=folder
        ) from error
    return tuple(files)


def noise_images(run: Run) -> Tensor:
    """Return images of noise, always the same, of the size that a run's network takes."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(_IMAGES, *run.compiled.graph.input.output_shape, generator=generator)


def _check(run: Run, contents: dict[str, bytes]) -> None:
    """Load what is about to be written, and compare its outputs with the run's, bit by bit."""
    with tempfile.TemporaryDirectory(prefix="wavetwin-") as name:
        draft = Path(name)
        for each, content in contents.items():
            (draft / each).write_bytes(content)
        loaded = read_pretrained(draft)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(exist_ok=True)
    images = noise_images(run)
    with torch.no_grad():
        if not torch.equal(loaded.model(images), run.model(images)):
            raise RunError(
                "export-differs",
                "gives other outputs than the network that was written; nothing was kept",
                "this is a fault of wavetwin: please report it",
                subject=run.path,
            )


def _config(run: Run) -> bytes:
    document = {"name": run.name, **run.compiled.resolved}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _weights(run: Run) -> bytes:
    about = {
        "name": run.name,
        "model_digest": run.compiled.model_digest,
        "training_digest": run.compiled.training_digest,
        "weights": run.which,
        "epochs": run.epochs,
        "classes": list(_classes(run)),
        "mean": list(_statistics(run)[0]),
        "std": list(_statistics(run)[1]),
        "wavetwin": imported_package().version,
        "commit": run.documents.manifest["commit"],
        "notes": list(run.notes),
    }
    metadata = {"format": "pt", METADATA: json.dumps(about, ensure_ascii=False)}
    state = {name: value.contiguous().clone() for name, value in run.model.state_dict().items()}
    return save(state, metadata)


def _classes(run: Run) -> tuple[str, ...]:
    data = run.compiled.plan.data
    return class_labels(run.documents.manifest.get(CLASS_NAMES), data.dataset, data.num_classes)


def _statistics(run: Run) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation by which images are normalised, per channel."""
    data = run.compiled.plan.data
    if data.mean is not None and data.std is not None:
        return data.mean, data.std
    return known_statistics(run.path / "statistics.json", data.channels)


def _card(run: Run) -> str:
    """Return the model card."""
    mark = "" if run.which == "last" else f".{run.which}"
    scores = {
        name: score
        for name, score in run.scores.items()
        if (f"{mark}." in name if mark else ".best." not in name and ".epoch-" not in name)
    }
    errors = [score for name, score in scores.items() if name.endswith(f"{mark}.{_ACCURACY}")]
    data = run.compiled.plan.data
    results: list[dict[str, Any]] = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": data.dataset, "type": data.dataset},
            "metrics": [
                {
                    "name": score.name.removesuffix(_ACCURACY) + "top1_accuracy",
                    "type": "accuracy",
                    "value": 1 - score.value,
                }
            ],
        }
        for score in errors
    ]
    front: dict[str, Any] = {
        "library_name": "wavetwin",
        "pipeline_tag": "image-classification",
        "tags": ["wavetwin", "image-classification", *run.compiled.spec.tags],
    }
    if results:
        front["model-index"] = [{"name": run.name, "results": results}]
    mean, std = _statistics(run)
    environment = text_environment(imported_package().templates)
    return environment.get_template(_TEMPLATE).render(
        front=dump_spec(front),
        run=run,
        spec=run.compiled.spec,
        compiled=run.compiled,
        data=data,
        mean=mean,
        std=std,
        scores=list(scores.values()),
        num_classes=len(_classes(run)),
        manifest=run.documents.manifest,
        version=imported_package().version,
    )
