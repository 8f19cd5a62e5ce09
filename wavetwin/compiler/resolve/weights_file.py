"""Find the file that a training starts from, and what ties the spec to it: its SHA-256."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import cast

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import section_of
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import CompileError
from wavetwin.ir.starting_weights import StartingWeights

__all__ = ["find_weights"]


def find_weights(loaded: LoadedSpec, spec: ExperimentSpec, project: Path) -> str | None:
    """Return the SHA-256 of the file that `weights` names; None where there is no such section.

    Raises:
        CompileError: the file is not there and no `sha256` stands for it, cannot be read, or is
            another one than `sha256` says.
    """
    if spec.weights is None:
        return None
    weights = section_of(cast("SpecModel", spec.weights), StartingWeights)
    path = f"weights.{weights.field}"
    file = project / weights.file
    try:
        found = _sha256(file)
    except FileNotFoundError:
        if weights.sha256 is not None:
            return weights.sha256
        raise CompileError(
            [
                conflict(
                    loaded,
                    "file-not-found",
                    f"there is no {weights.file} in the project",
                    [path, "weights.which"] if weights.run else [path],
                    help=_remedy(weights, project),
                )
            ]
        ) from None
    except OSError as error:
        raise CompileError(
            [
                conflict(
                    loaded,
                    "file-unreadable",
                    f"{weights.file} cannot be read: {error.strerror or error}",
                    [path],
                )
            ]
        ) from None
    if weights.sha256 not in (None, found):
        raise CompileError(
            [
                conflict(
                    loaded,
                    "weights-changed",
                    f"{weights.file} is another file than weights.sha256 says: its SHA-256 is {found}",
                    ["weights.sha256", path],
                    help="bring back the file as it was, or set weights.sha256 anew: another experiment",
                )
            ]
        )
    return found


def _remedy(weights: StartingWeights, project: Path) -> str:
    elsewhere = (
        "or write its weights.sha256: then the file is needed only where the training starts"
    )
    if weights.run is None:
        return f"put the file there, {elsewhere}"
    folder = project / "runs" / weights.run / "checkpoints"
    if weights.which != "last" and (folder / "last").is_dir():
        return "set weights.which to last: without validation images a run has no best weights"
    return f"`wavetwin runs list` has the runs and their ids; train it first, {elsewhere}"


def _sha256(file: Path) -> str:
    status = file.stat()
    return _sha256_of(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256_of(file: Path, size: int, changed: int) -> str:
    """Return a file's SHA-256; the same file is not read again for each spec that names it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
