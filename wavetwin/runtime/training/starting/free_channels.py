"""Load the free channels' first weights from a file that anybody wrote."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wavetwin.ir.plan import InitialWeightsPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import read_foreign
from wavetwin.runtime.training.state_dicts import fit_names

__all__ = ["load_free_channels"]

_FIRST_LAYERS = (
    "stem.free.weight",
    "conv1.weight",
    "features.0.weight",
    "conv1.freeconv.weight",
    "features.0.freeconv.weight",
)
"""Names of a first convolution: this project's, torchvision's ResNets, and its AlexNet and VGGs;
the published twins' free channels."""


def load_free_channels(model: nn.Module, initial: InitialWeightsPlan, project: Path) -> str:
    """Copy the chosen channels of a file's first layer into the stem's free convolution.

    Returns the SHA-256 of the file.

    Raises:
        RunError: the file is not there, has no first layer, or does not fit.
    """
    file = project / initial.checkpoint
    foreign = read_foreign(file)
    tensors = {k: v for k, v in foreign.tensors.items() if isinstance(v, Tensor)}
    # Any one of these names is the first layer's: without what is before all names, if need be.
    tensors, _ = fit_names(tensors, [[name] for name in _FIRST_LAYERS])
    name = next((name for name in _FIRST_LAYERS if name in tensors), None)
    if name is None or tensors[name].ndim != 4:
        raise RunError(
            "weights-do-not-fit", f"has no first layer ({', '.join(_FIRST_LAYERS)})", subject=file
        )
    own = model.state_dict()
    target = own["stem.free.weight"]
    channels = initial.channels or tuple(range(len(target)))
    if len(channels) != len(target) or max(channels) >= len(tensors[name]):
        raise RunError(
            "weights-do-not-fit",
            f"has {len(tensors[name])} channels in {name}; {len(channels)} are chosen up to "
            f"number {max(channels)}, and the stem has {len(target)} free channels",
            subject=file,
        )
    chosen = torch.tensor(channels)
    for suffix in ("weight", "bias"):
        source = tensors.get(name.removesuffix("weight") + suffix)
        parameter = own.get(f"stem.free.{suffix}")
        if parameter is None and source is None:
            continue
        if parameter is None or source is None:
            raise RunError(
                "weights-do-not-fit",
                f"has {'no' if source is None else 'a'} bias beside {name}, and the stem's free "
                f"channels have {'none' if parameter is None else 'one'}",
                subject=file,
            )
        if source.shape[1:] != parameter.shape[1:]:
            raise RunError(
                "weights-do-not-fit",
                f"has {tuple(source.shape)} as {name}, and the stem's is {tuple(parameter.shape)}",
                subject=file,
            )
        if not source.is_floating_point() or not bool(source[chosen].isfinite().all()):
            raise RunError(
                "weights-do-not-fit",
                f"has values in {name.removesuffix('weight') + suffix} that are no finite numbers, "
                f"or of no floating-point type ({source.dtype})",
                subject=file,
            )
        # A state dict shares its memory with the model.
        parameter.copy_(source[chosen])
    return foreign.sha256
