"""Initial values: what each parameter of a node begins with (numerics.md section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from wavetwin.ir.node import Node
from wavetwin.ir.operations import KAIMING
from wavetwin.runtime.layers import AdaptiveBlur, ChannelBias, ColourMixingAfter, PacketMixing

Generators = Callable[[str], torch.Generator | None]
"""From a parameter's name below its node to what it draws from; None: torch's default generator."""


def initialise_module(module: nn.Module, node: Node, generators: Generators) -> None:
    """Set a node's parameters and running statistics to their initial values.

    Convolutions, mixings and linear layers draw as torch's layers do, or kaiming normal with fan out
    where the node says so; an adaptive blur's convolution is kaiming normal, and the bias after a
    modulus uniform between -1 and 1; everything else begins with constants. Buffers that are
    constants of the layer are not touched.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        return
    kaiming = node.operation.initial_law == KAIMING
    if isinstance(module, nn.Conv2d | nn.Linear | ColourMixingAfter):
        _draw_layer(module, "", kaiming, generators)
    elif isinstance(module, PacketMixing):
        for band, conv in module.named_children():
            _draw_layer(conv, f"{band}.", False, generators)
    elif isinstance(module, AdaptiveBlur):
        _draw_layer(module.conv, "conv.", True, generators)
        module.norm.reset_parameters()
    elif isinstance(module, ChannelBias) and module.initial == "uniform":
        _draw_uniform(module.bias, 1.0, generators("bias"))
    else:
        reset = getattr(module, "reset_parameters", None)
        assert callable(reset), f"{node.id}: {type(module).__name__} has no initial values"
        reset()


def _draw_layer(module: nn.Module, prefix: str, kaiming: bool, generators: Generators) -> None:
    """Draw `weight` (outputs, inputs / groups, ...) and `bias`, in float32."""
    weight = module.get_parameter("weight")
    bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
    deviation = math.sqrt(2 / (weight.shape[0] * math.prod(weight.shape[2:])))
    for name, parameter in module.named_parameters(recurse=False):
        generator = generators(f"{prefix}{name}")
        if kaiming and name == "weight":
            with torch.no_grad():
                values = _undrawn(parameter, generator)
                parameter.copy_(values.normal_(0, deviation, generator=generator))
        else:
            _draw_uniform(parameter, bound, generator)


def _draw_uniform(parameter: Tensor, bound: float, generator: torch.Generator | None) -> None:
    with torch.no_grad():
        values = _undrawn(parameter, generator)
        parameter.copy_(values.uniform_(-bound, bound, generator=generator))


def _undrawn(parameter: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return memory for a parameter's draws: float32, on the generator's device."""
    device = parameter.device if generator is None else generator.device
    return torch.empty(parameter.shape, dtype=torch.float32, device=device)
