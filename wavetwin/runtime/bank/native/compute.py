"""Call the native kernel: forward, and the adjoint, for tensors on the CPU in any layout.

Every type is float32 or float64. Maps come out channels-last or contiguous, and gradients go in however
they lie: the kernel takes strides. It computes in torch's threads, an image at a time in each, and gives
the same bits for any number of them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import outside_modes
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.native.cascade import LANES, make_program
from wavetwin.runtime.bank.native.library import find_library

__all__ = ["Kept", "NativeGradients", "apply_adjoint", "apply_forward", "call_kernel", "kept_bytes"]


@dataclass(frozen=True, eq=False)
class Kept:
    """What the backward pass computes again where it is not kept."""

    packets: Tensor | None = None
    """Of a batch."""
    units: Tensor | None = None
    """Of a batch, where the modulus is given: the numbers over their moduli."""


@dataclass(frozen=True, eq=False)
class _Constants:
    """What the kernel takes beside tensors of the network, in one type."""

    numbers: Tensor
    values: Tensor
    no_colour: Tensor
    """The weight of an image's only channel, 1."""
    no_bias: Tensor
    packet_values: int
    unit_values: int


@dataclass(frozen=True)
class NativeGradients:
    """Gradients of the inputs; None where they were not asked for."""

    x: Tensor | None
    weights: Tensor | None
    colour: Tensor | None
    bias: Tensor | None


@functools.lru_cache(maxsize=64)
def _constants(
    info: BankInfo, height: int, width: int, colours: int, dtype: torch.dtype
) -> _Constants:
    program = make_program(info, height, width, colours)
    with outside_modes():
        return _Constants(
            numbers=program.numbers,
            values=program.values.to(dtype),
            no_colour=torch.ones(1, dtype=dtype),
            no_bias=torch.zeros(info.outputs, dtype=dtype),
            packet_values=program.packet_values,
            unit_values=program.unit_values,
        )


def _constants_of(x: Tensor, info: BankInfo) -> _Constants:
    return _constants(info, x.shape[2], x.shape[3], x.shape[1], x.dtype)


def kept_bytes(x: Tensor, info: BankInfo) -> int:
    """Return the bytes an image that its packets and units take."""
    constants = _constants_of(x, info)
    return (constants.packet_values + constants.unit_values) * x.element_size()


def apply_forward(
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    bias: Tensor | None,
    info: BankInfo,
    is_channels_last: bool,
    keeps: bool = False,
) -> tuple[list[Tensor], Kept]:
    """Return the mixed packets per part, or their modulus, and what is kept of the batch.

    Each is (batch, outputs, out_height, out_width).

    Args:
        x: (batch, colours, height, width).
        weights: mixing weights of all bands, flattened and joined.
        colour: as many numbers as there are colours, or None for one channel.
        bias: (outputs,), added to every part, or None.
        info: what is computed.
        is_channels_last: how the result lies in memory.
        keeps: whether packets and units are given back.
    """
    constants = _constants_of(x, info)
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    shape = (x.shape[0], info.outputs, info.out_height, info.out_width)
    parts = [
        torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
        for _ in range(info.results)
    ]
    packets = x.new_empty(x.shape[0] * constants.packet_values) if keeps else None
    units = x.new_empty(x.shape[0] * constants.unit_values) if keeps and info.has_modulus else None
    call_kernel(
        "bank_forward", x, constants.numbers, constants.values, weights.detach().contiguous(),
        _of_outputs(bias, constants), x, _strides(x), _of_colours(colour, constants), parts,
        _strides(parts[0]), packets, units,
    )  # fmt: skip
    return parts, Kept(packets, units)


def apply_adjoint(
    gradient: Sequence[Tensor],
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    bias: Tensor | None,
    info: BankInfo,
    kept: Kept,
    needed: Sequence[bool],
) -> NativeGradients:
    """Return the gradients that are needed of x, weights, colour and bias.

    Args:
        gradient: of each result, (batch, outputs, out_height, out_width).
        x: as in `apply_forward`.
        weights: as in `apply_forward`.
        colour: as in `apply_forward`.
        bias: as in `apply_forward`.
        info: as in `apply_forward`.
        kept: what `apply_forward` kept.
        needed: of which of the four.
    """
    constants = _constants_of(x, info)
    of_x = torch.zeros_like(x) if needed[0] else None
    of_weights = torch.empty_like(weights) if needed[1] else None
    of_colour = None if colour is None or not needed[2] else x.new_empty(colour.shape)
    of_bias = x.new_empty(info.outputs) if needed[3] else None
    call_kernel(
        "bank_backward", x, constants.numbers, constants.values, weights.detach().contiguous(),
        _of_outputs(bias, constants), list(gradient), _strides(*gradient), x, _strides(x),
        _of_colours(colour, constants), kept.packets, kept.units, of_weights, of_bias, of_colour,
        of_x, _strides(x if of_x is None else of_x),
    )  # fmt: skip
    return NativeGradients(of_x, of_weights, of_colour, of_bias)


def _of_outputs(bias: Tensor | None, constants: _Constants) -> Tensor:
    return constants.no_bias if bias is None else bias.detach().contiguous()


def _of_colours(colour: Tensor | None, constants: _Constants) -> Tensor:
    return constants.no_colour if colour is None else colour.detach().contiguous()


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    return tuple(chain.from_iterable(tensor.stride() for tensor in tensors))


def call_kernel(
    name: str, x: Tensor, *arguments: Tensor | list[Tensor] | tuple[int, ...] | None
) -> None:
    """Call a function of the library for the type and the batch of x.

    It is given the addresses of tensors, of lists of addresses, and of int64 numbers.
    """
    kind = str(x.dtype).removeprefix("torch.")
    passed: list[Any] = []
    for argument in arguments:
        if isinstance(argument, list):
            addresses = [tensor.data_ptr() for tensor in argument]
            passed.append((ctypes.c_void_p * len(addresses))(*addresses))
        elif isinstance(argument, tuple):
            passed.append((ctypes.c_int64 * len(argument))(*argument))
        else:
            passed.append(ctypes.c_void_p(None if argument is None else argument.data_ptr()))
    numbers = (ctypes.c_int64(x.shape[0]), ctypes.c_int64(torch.get_num_threads()))
    find_library().functions[f"{name}_{kind}"](*passed, *numbers)


assert LANES == 8, "the kernel has vectors of 8"
