"""Compile declarative vision experiments: CNNs and their wavelet twins.

`wavetwin.compile(path)` gives the resolved spec, the module graph and the training plan without
importing torch; `wavetwin.build_model(compiled)` makes the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wavetwin.compiler.compiled import Compiled

__version__ = "0.1.0"
__all__ = ["__version__", "build_model", "compile", "from_reference_state_dict"]


def compile(path: Path | str, overrides: Sequence[str] | None = None) -> Compiled:
    """Compile one spec file; `overrides` are texts such as `stem.free_channels=40`.

    Raises:
        CompileError: with every fault found, in file order.
    """
    from wavetwin.compiler.compiled import compile_spec

    return compile_spec(path, overrides or ())


def build_model(
    compiled: Compiled, num_classes: int | None = None, optimise: bool = True
) -> nn.Module:
    """Build the network, initialised from the spec's seed; imports torch.

    Maps (batch, channels, height, width) to (batch, classes). It has `stem` (the first layer) and
    `pool` (norm, activation and pooling up to the next convolution); `optimise` chooses the graph
    after the passes, which computes the same and has the same state dict.
    """
    from wavetwin.runtime.network.build import build_module, initialise

    graph = compiled.optimised_graph if optimise else compiled.graph
    model = build_module(graph, num_classes=num_classes, plan=compiled.plan)
    initialise(model, compiled.graph, compiled.plan.seed)
    return model


def from_reference_state_dict(
    state_dict: Mapping[str, Tensor],
    compiled: Compiled,
    num_classes: int | Literal["any"] | None = "any",
) -> dict[str, Tensor]:
    """Return weights that others trained as a state dict of this experiment's model; imports torch.

    Known are the names of the published twins' implementation, of torchvision's AlexNet, ResNets and VGGs,
    of the antialiased networks, and this project's own; what wrappers put before all of them or into
    them (`module.`, `_orig_mod.`, `model.`) is taken off. The tensors share memory with the given
    ones, and one with values that are no finite numbers gives rise to a warning. Fixed filters and constants are compared with those that the
    model computes with, where they are given, and left out.

    Args:
        state_dict: all of a model's tensors.
        compiled: the experiment.
        num_classes: of the given classifier: `any` takes as many as there are, a number only so
            many, None only the spec's. Give the same number to `build_model`, whose
            `load_state_dict` refuses another.

    Raises:
        WeightsError: naming every tensor that is missing, left over, of another shape or kind, or
            another constant (`wavetwin.importing.weights`).
    """
    import warnings

    from wavetwin.importing.weights import convert_state_dict, describe_not_finite

    converted = convert_state_dict(compiled.graph, state_dict, num_classes)
    if converted.not_finite:
        warnings.warn(describe_not_finite(converted.not_finite), stacklevel=2)
    return converted.state
