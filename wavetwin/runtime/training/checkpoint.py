"""Save and load checkpoints; no other module loads tensors.

`checkpoints/last/` holds `model.safetensors` and `state.pt` (what `torch.load(weights_only=True)`
reads: optimiser, learning rate, position, running sums, and the digest of the weights). A new state is written beside it, synced
to disk, and takes its place by two renames; a kill between them leaves `previous/`, which is as
complete. No generator's state is kept: every random stream is derived from the seed and the
position (random_streams).
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from wavetwin.diagnostics.listing import list_some
from wavetwin.files import atomic
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError, write_code
from wavetwin.runtime.training.skipped_objects import load_skipping, not_plain
from wavetwin.runtime.training.state_dicts import choose_state_dict
from wavetwin.runtime.training.weights_kind import weights_kind

__all__ = [
    "ForeignWeights",
    "describe_last",
    "find_last",
    "find_not_finite",
    "load_state",
    "load_weights",
    "load_weights_bytes",
    "read_foreign",
    "save_best",
    "save_snapshot",
    "save_state",
    "write_weights",
]

WEIGHTS = "model.safetensors"
AVERAGE = "average.safetensors"
"""Of weights that are averaged over the steps, where the plan asks for them."""
STATE = "state.pt"
STATE_VERSION = 2
"""Of what the state holds; the first had no digests, and no version."""
_LAST, _PREVIOUS, _NEW = "last", "previous", "new"


@dataclass(frozen=True, slots=True)
class ForeignWeights:
    """A state dict that anybody wrote; nothing about its names or values is known yet."""

    tensors: dict[Any, Any]
    sha256: str
    """Of the file's bytes, those that the tensors were read from."""
    notes: tuple[str, ...] = ()
    """What was chosen from the file, left in it and taken off names, for people."""


def save_state(
    checkpoints: Path,
    model: nn.Module,
    state: Mapping[str, Any],
    average: nn.Module | None = None,
) -> str:
    """Replace the last state; a kill at any moment leaves the old or the new one whole.

    Returns the SHA-256 of the weights, which the state keeps, too, and that of averaged ones.

    Raises:
        RunError: it cannot be written (a full disk); the old one is kept.
    """
    new, last, previous = (checkpoints / name for name in (_NEW, _LAST, _PREVIOUS))
    weights = save(_tensors(model))
    digest = hashlib.sha256(weights).hexdigest()
    files = {WEIGHTS: weights}
    state = {**state, "version": STATE_VERSION, "weights_sha256": digest}
    if average is not None:
        files[AVERAGE] = save(_tensors(average))
        state["average_sha256"] = hashlib.sha256(files[AVERAGE]).hexdigest()
    content = io.BytesIO()
    torch.save(state, content)
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for name, data in (files | {STATE: content.getvalue()}).items():
            (new / name).write_bytes(data)
            _sync(new / name)
        _sync(new)
        if last.exists():
            shutil.rmtree(previous, ignore_errors=True)
            last.rename(previous)
        new.rename(last)
        _sync(checkpoints)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise _not_saved(checkpoints, error) from error
    shutil.rmtree(previous, ignore_errors=True)
    return digest


def find_not_finite(model: nn.Module) -> str | None:
    """Return the name of a parameter or buffer that has an infinite value or none, if there is one."""
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return None


def find_last(checkpoints: Path) -> Path | None:
    """Return the folder of the last complete state, or None before the first."""
    for name in (_LAST, _PREVIOUS):
        if (checkpoints / name).is_dir():
            return checkpoints / name
    return None


def load_state(checkpoints: Path) -> dict[str, Any] | None:
    """Return what `save_state` was given beside the model, or None before the first state.

    Raises:
        RunError: the file is damaged, or of a later version.
    """
    folder = find_last(checkpoints)
    if folder is None:
        return None
    file = folder / STATE
    remedy = f"bring back the file as it was; {ANOTHER_RUN}"
    if not file.is_file():
        raise RunError(
            "checkpoint-damaged",
            "is not there, and training cannot go on without it",
            remedy,
            subject=file,
        )
    try:
        # torch.load does not compare the checksums that the file has.
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RunError(
            "checkpoint-damaged", f"cannot be read: it is damaged ({error})", remedy, subject=file
        ) from error
    if damaged is not None:
        raise RunError(
            "checkpoint-damaged",
            f"is damaged: the checksum of {damaged} does not fit",
            remedy,
            subject=file,
        )
    state = _read_plain(file)
    if not isinstance(state, dict):
        raise RunError("checkpoint-damaged", "holds no state of a run", remedy, subject=file)
    if state.get("version", 1) not in (1, STATE_VERSION):
        raise RunError(
            "other-version",
            f"is of version {state['version']}, this wavetwin reads {STATE_VERSION}",
            f"take the wavetwin that saved it; {ANOTHER_RUN}",
            subject=file,
        )
    return state


def describe_last(checkpoints: Path) -> str:
    """Return what is left of a run whose disk is full, and where it goes on."""
    kept = find_last(checkpoints)
    if kept is None:
        return "no state was saved yet; make room and start again, training begins anew"
    return f"the last good state is {kept}; make room and start again, training resumes there"


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill a model from a safetensors file; every name and shape has to agree.

    Raises:
        RunError: the file is damaged, or of another model.
    """
    _fill(model, _read(file), file)


def load_weights_bytes(model: nn.Module, content: bytes, file: Path) -> None:
    """Fill a model from a safetensors file that was read already; as `load_weights`.

    Args:
        model: what is filled.
        content: the file's.
        file: what errors name.

    Raises:
        RunError: the file is damaged, or of another model.
    """
    try:
        tensors = load(content)
    except (KeyError, ValueError, SafetensorError) as error:
        raise RunError("weights-damaged", f"cannot be read: {error}", subject=file) from error
    _fill(model, tensors, file)


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    different = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if tensors[name].shape != own[name].shape
    ]
    if missing or unexpected or different:
        notes = [
            f"{kind}: {list_some(names)}"
            for kind, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", different),
            )
            if names
        ]
        raise RunError(
            "weights-do-not-fit", "is of another model; " + "; ".join(notes), subject=file
        )
    model.load_state_dict(tensors)


def read_foreign(file: Path, key: str | None = None) -> ForeignWeights:
    """Read a state dict that anybody wrote: safetensors, or a file of `torch.save` or Lightning.

    What the file is, its bytes say. The state dict may lie below any keys; what wrappers put before
    all of its names, as `module.`, is taken off. A pickle is read for tensors and plain values only:
    objects are skipped, and what could run code is refused.

    Args:
        file: of the name of a weights file, or with the bytes of one.
        key: of the state dict to take where there are several, or what its names begin with.

    Raises:
        RunError: the file is not there, damaged, of another kind, or holds no state dict or several.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise RunError("file-not-found", "is not there", subject=file) from None
    except OSError as error:
        raise RunError(
            "file-unreadable", f"cannot be read: {error.strerror or error}", subject=file
        ) from error
    kind = weights_kind(data, file)
    if kind == "safetensors":
        try:
            content: Any = load(data)
        except (KeyError, ValueError, SafetensorError) as error:
            raise RunError("weights-damaged", f"cannot be read: {error}", subject=file) from error
        skipped = ()
    else:

        def read() -> Any:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)

        content, skipped = load_skipping(read, data, file)
    found = choose_state_dict(content, str(file), key)
    notes = found.notes
    if skipped:
        notes += (f"objects that are no tensors were skipped, none was run: {list_some(skipped)}",)
    return ForeignWeights(found.tensors, hashlib.sha256(data).hexdigest(), notes)


def write_weights(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write a safetensors file whose header holds `metadata`; a kill leaves none or the whole.

    Returns the SHA-256 of the file.

    Safetensors puts several entries into any order: only with one are the bytes always the same.

    Raises:
        RunError: it cannot be written there.
    """
    data = save({name: _separate(value) for name, value in tensors.items()}, dict(metadata))
    try:
        atomic.write_file(file, data, _sync)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=file
        ) from error
    return hashlib.sha256(data).hexdigest()


def save_snapshot(checkpoints: Path, model: nn.Module, epoch: int) -> tuple[str, str]:
    """Keep the weights after this many epochs as `epoch-030.safetensors`; return name and SHA-256.

    Raises:
        RunError: they cannot be written.
    """
    return _keep(checkpoints, f"epoch-{epoch:03d}.safetensors", model, {})


def save_best(checkpoints: Path, model: nn.Module, epoch: int) -> tuple[str, str]:
    """Keep the weights of the lowest validation error as `best.safetensors`; return name and SHA-256.

    Raises:
        RunError: they cannot be written.
    """
    return _keep(checkpoints, "best.safetensors", model, {"epoch": str(epoch)})


def _keep(
    checkpoints: Path, name: str, model: nn.Module, metadata: Mapping[str, str]
) -> tuple[str, str]:
    checkpoints.mkdir(parents=True, exist_ok=True)
    return name, write_weights(checkpoints / name, model.state_dict(), metadata)


def _not_saved(checkpoints: Path, error: OSError) -> RunError:
    return RunError(
        write_code(error),
        f"the state cannot be written to {checkpoints}: {error.strerror or error}",
        describe_last(checkpoints),
    )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict as separate tensors in CPU memory, as safetensors wants them."""
    return {name: _separate(value) for name, value in model.state_dict().items()}


def _separate(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise RunError("file-not-found", "is not there", subject=file)
    if file.suffix != ".safetensors":
        return _read_plain(file)
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunError("weights-damaged", f"cannot be read: {error}", subject=file) from error


def _read_plain(file: Path) -> dict[str, Any]:
    return _load_plain(file, file)


def _load_plain(source: Path | io.BytesIO, file: Path) -> Any:
    """Read a file of torch's; `file` is what errors name."""
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        # A file of unknown origin can make torch raise anything; none of it is run.
        raise not_plain(file, error) from error


def _sync(path: Path) -> None:
    atomic.sync(path)
