"""Choose the initial values of a node's parameters (arXiv:2212.00394)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from wavetwin.ir.node import Node
from wavetwin.ir.operations import KAIMING, NORMAL, XAVIER
from wavetwin.runtime.layers import (
    AdaptiveBlur,
    ChannelBias,
    ColourMixingAfter,
    Invariant,
    PacketMixing,
)

Generators = Callable[[str], torch.Generator | None]
"""From a parameter's name below its node to what it draws from; None: torch's default generator."""


def initialise_module(module: nn.Module, node: Node, generators: Generators) -> None:
    """Set a node's parameters and running statistics to their initial values.

    Convolutions, mixings and linear layers draw as torch's layers do, or from the normal law that the
    node says, with biases of 0; an adaptive blur's convolution is kaiming normal, and the bias after a
    modulus uniform between -1 and 1; everything else begins with constants. Buffers that are
    constants of the layer are not touched.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        return
    if isinstance(module, nn.Conv2d | nn.Linear | ColourMixingAfter):
        scale: float = getattr(node.operation, "gain", 1.0)
        _draw_layer(module, "", node.operation.initial_law, generators, scale)
    elif isinstance(module, PacketMixing):
        for band, conv in module.named_children():
            _draw_layer(conv, f"{band}.", None, generators)
    elif isinstance(module, AdaptiveBlur):
        _draw_layer(module.conv, "conv.", KAIMING, generators)
        module.norm.reset_parameters()
    elif isinstance(module, Invariant):
        module.reset_parameters(generators)
    elif isinstance(module, ChannelBias) and module.initial == "uniform":
        _draw_uniform(module.bias, 1.0, generators("bias"))
    else:
        reset = getattr(module, "reset_parameters", None)
        assert callable(reset), f"{node.id}: {type(module).__name__} has no initial values"
        reset()


def _glorot_bound(shape: torch.Size) -> float:
    """Return the root of 6 by the sum of fan in and fan out."""
    return math.sqrt(6 / ((shape[0] + shape[1]) * math.prod(shape[2:])))


_BOUNDS: dict[str, Callable[[torch.Size], float]] = {XAVIER: _glorot_bound}
"""Of the uniform laws: from the weight's shape to the greatest value, before the gain."""
_DEVIATIONS: dict[str, Callable[[torch.Size], float]] = {
    KAIMING: lambda shape: math.sqrt(2 / (shape[0] * math.prod(shape[2:]))),
    NORMAL: lambda shape: 0.01,
}
"""Of the normal laws: from the weight's shape to its standard deviation."""


def _draw_layer(
    module: nn.Module,
    prefix: str,
    law: str | None,
    generators: Generators,
    scale: float = 1.0,
) -> None:
    """Set `weight` (outputs, inputs / groups, ...) and `bias`; draws are in float32."""
    weight = module.get_parameter("weight")
    bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
    deviation, limit = _DEVIATIONS.get(law or ""), _BOUNDS.get(law or "")
    for name, parameter in module.named_parameters(recurse=False):
        if parameter is weight and limit is not None:
            generator = generators(f"{prefix}{name}")
            _draw_uniform(parameter, scale * limit(weight.shape), generator)
        elif deviation is None and limit is None:
            _draw_uniform(parameter, bound, generators(f"{prefix}{name}"))
        elif parameter is weight and deviation is not None:
            generator = generators(f"{prefix}{name}")
            with torch.no_grad():
                values = _undrawn(parameter, generator)
                parameter.copy_(values.normal_(0, deviation(weight.shape), generator=generator))
        else:
            nn.init.zeros_(parameter)


def _draw_uniform(parameter: Tensor, bound: float, generator: torch.Generator | None) -> None:
    with torch.no_grad():
        values = _undrawn(parameter, generator)
        parameter.copy_(values.uniform_(-bound, bound, generator=generator))


def _undrawn(parameter: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return memory for a parameter's draws: float32, on the generator's device."""
    device = parameter.device if generator is None else generator.device
    return torch.empty(parameter.shape, dtype=torch.float32, device=device)
