"""Checkpoints: the only place that loads tensors.

`checkpoints/last/` holds `model.safetensors` and `state.pt` (what `torch.load(weights_only=True)`
reads: optimiser, learning rate, position, running sums). A new state is written beside it, synced
to disk, and takes its place by two renames; a kill between them leaves `previous/`, which is as
complete. No generator's state is kept: every random stream is derived from the seed and the
position (random_streams).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from wavetwin.compiler.plan import InitialWeightsPlan
from wavetwin.runtime.errors import RunError

__all__ = [
    "find_last",
    "load_free_channels",
    "load_state",
    "load_weights",
    "save_snapshot",
    "save_state",
    "sync_folder",
    "weights_digest",
]

WEIGHTS = "model.safetensors"
STATE = "state.pt"
_LAST, _PREVIOUS, _NEW = "last", "previous", "new"
_FIRST_LAYERS = ("stem.free.weight", "conv1.weight", "features.0.weight")
"""Names of a first convolution: this project's, torchvision's ResNet, torchvision's AlexNet."""


def save_state(checkpoints: Path, model: nn.Module, state: Mapping[str, Any]) -> None:
    """Replace the last state; a kill at any moment leaves the old or the new one whole."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    new, last, previous = (checkpoints / name for name in (_NEW, _LAST, _PREVIOUS))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    (new / WEIGHTS).write_bytes(save(_tensors(model)))
    torch.save(dict(state), new / STATE)
    for file in (new / WEIGHTS, new / STATE, new):
        _sync(file)
    if last.exists():
        shutil.rmtree(previous, ignore_errors=True)
        last.rename(previous)
    new.rename(last)
    _sync(checkpoints)
    shutil.rmtree(previous, ignore_errors=True)


def find_last(checkpoints: Path) -> Path | None:
    """Return the folder of the last complete state, or None before the first."""
    for name in (_LAST, _PREVIOUS):
        if (checkpoints / name).is_dir():
            return checkpoints / name
    return None


def load_state(checkpoints: Path) -> dict[str, Any] | None:
    """Return what `save_state` was given beside the model, or None before the first state.

    Raises:
        RunError: the file is damaged.
    """
    folder = find_last(checkpoints)
    if folder is None:
        return None
    return _read_plain(folder / STATE)


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill a model from a safetensors file; every name and shape has to agree.

    Raises:
        RunError: the file is damaged, or of another model.
    """
    tensors = _read(file)
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    different = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if tensors[name].shape != own[name].shape
    ]
    if missing or unexpected or different:
        notes = [
            f"{kind}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
            for kind, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", different),
            )
            if names
        ]
        raise RunError(f"{file} is of another model; " + "; ".join(notes))
    model.load_state_dict(tensors)


def load_free_channels(model: nn.Module, initial: InitialWeightsPlan, project: Path) -> None:
    """Copy the chosen channels of a file's first layer into the stem's free convolution.

    Raises:
        RunError: the file is not there, has no first layer, or does not fit.
    """
    file = project / initial.checkpoint
    tensors = _read(file)
    name = next((name for name in _FIRST_LAYERS if name in tensors), None)
    if name is None:
        raise RunError(f"{file} has no first layer ({', '.join(_FIRST_LAYERS)})")
    own = model.state_dict()
    target = own["stem.free.weight"]
    channels = initial.channels or tuple(range(len(target)))
    if len(channels) != len(target) or max(channels) >= len(tensors[name]):
        raise RunError(
            f"{file}: {name} has {len(tensors[name])} channels; {len(channels)} are chosen up to "
            f"number {max(channels)}, and the stem has {len(target)} free channels"
        )
    chosen = torch.tensor(channels)
    for suffix in ("weight", "bias"):
        source = tensors.get(name.removesuffix("weight") + suffix)
        parameter = own.get(f"stem.free.{suffix}")
        if parameter is None or source is None:
            continue
        if source.shape[1:] != parameter.shape[1:]:
            raise RunError(
                f"{file}: {name} is {tuple(source.shape)}, the stem's is {tuple(parameter.shape)}"
            )
        # A state dict shares its memory with the model.
        parameter.copy_(source[chosen])


def save_snapshot(checkpoints: Path, model: nn.Module, epoch: int) -> None:
    """Keep the weights after this many epochs as `epoch-030.safetensors`."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    file = checkpoints / f"epoch-{epoch:03d}.safetensors"
    new = file.with_suffix(".new")
    new.write_bytes(save(_tensors(model)))
    _sync(new)
    new.replace(file)
    _sync(checkpoints)


def weights_digest(file: Path) -> str:
    """Return the SHA-256 of a weights file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    _sync(folder)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict as separate tensors in CPU memory, as safetensors wants them."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise RunError(f"{file} is not there")
    if file.suffix != ".safetensors":
        return _read_plain(file)
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error


def _read_plain(file: Path) -> dict[str, Any]:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # A file of unknown origin can make torch raise anything; none of it is run.
        raise RunError(
            f"{file} cannot be read: it is damaged, or holds more than tensors and plain values"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
