"""Write a run's network as a program that runs without wavetwin: torch's exported program, or ONNX."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavetwin.exporting.hub import noise_images
from wavetwin.files.atomic import write_file
from wavetwin.notebook.loaded_run import Run
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.packages import require

__all__ = ["FORMS", "Form", "export_program"]

_CLOSE = 1e-4
"""Largest difference of two outputs, against the largest output: sums are taken in another order."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of programs."""

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[torch.export.ExportedProgram, Path], None]
    load: Callable[[Path], Callable[[Tensor], Tensor]]
    """Return the program of a file as a function of images."""


def _write_torch(program: torch.export.ExportedProgram, file: Path) -> None:
    torch.export.save(program, file)


def _load_torch(file: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(file).module()


def _write_onnx(program: torch.export.ExportedProgram, file: Path) -> None:
    torch.onnx.export(program, f=file, verbose=False, external_data=False)


def _load_onnx(file: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]

    def run(images: Tensor) -> Tensor:
        (output,) = session.run(None, {name: images.numpy()})
        return torch.from_numpy(output)

    return run


_ROWS = (
    Form("torch", ".pt2", (), _write_torch, _load_torch),
    Form("onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _load_onnx),
)
FORMS: dict[str, Form] = {row.name: row for row in _ROWS}
"""By the name of the action of `wavetwin export`."""


def export_program(run: Run, form: Form, file: Path, *, force: bool = False) -> float:
    """Write a run's network for batches of any size, and compare the file's outputs with the run's.

    The program takes normalised images of the size that the network was trained with, float32.

    Args:
        run: with the weights that are to be written.
        form: of the file.
        file: what is written, whole or not at all.
        force: replace a file that is there.

    Returns:
        the largest difference of outputs, relative to the largest output.

    Raises:
        RunError: a package is missing; `cannot-export`, the network is not one program;
            `export-differs`; the file is there, or cannot be written.
    """
    for package in form.packages:
        require(package, f"wavetwin export {form.name}")
    if file.suffix != form.suffix:
        raise RunError(
            "bad-argument", f"has not the ending {form.suffix}", "name it so", subject=file
        )
    if file.exists() and not force:
        raise RunError(
            "output-exists", "is there already", "name another file, or give --force", subject=file
        )
    images = noise_images(run)
    with tempfile.TemporaryDirectory(prefix="wavetwin-") as name, warnings.catch_warnings():
        # Of the exporters' own parts, which are not the user's to mend.
        warnings.simplefilter("ignore")
        draft = Path(name) / f"program{form.suffix}"
        form.write(_program(run, images), draft)
        loaded = form.load(draft)
        difference = max(_difference(run, loaded, images[:count]) for count in (1, len(images)))
        content = draft.read_bytes()
    if not difference <= _CLOSE:
        raise RunError(
            "export-differs",
            f"would give other outputs than the run, by {difference:.2g}; nothing was kept",
            "export another form",
            subject=file,
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, content)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=file
        ) from error
    return difference


def _program(run: Run, images: Tensor) -> torch.export.ExportedProgram:
    """Return the network as a program whose number of images is free.

    Raises:
        RunError: `cannot-export`.
    """
    batch = torch.export.Dim("batch", min=1)
    try:
        return torch.export.export(run.model, (images,), dynamic_shapes=({0: batch},))
    # What a layer of the project does may raise anything.
    except Exception as error:
        lines: list[Any] = str(error).splitlines() or [type(error).__name__]
        raise RunError(
            "cannot-export",
            f"cannot be written as one program: {lines[0]}",
            f"torch.export has to take every layer: another torch than {torch.__version__} may, and "
            "wavetwin export hub does",
            subject=run.path,
        ) from error


def _difference(run: Run, loaded: Callable[[Tensor], Tensor], images: Tensor) -> float:
    with torch.no_grad():
        expected = run.model(images)
        found = loaded(images)
    return float((found - expected).abs().max() / expected.abs().max())
